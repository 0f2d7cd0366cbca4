//! Callback-polling (Bayeux 6.2) read as what it stands for: long-polling with the messages of the query for a body, and the
//! argument of the call for an answer. For those who judge or compare what was said and not how it was wrapped.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::bayeux::batch::{Batch, Limits};
use crate::bayeux::http::{self, CALLBACK_PARAMETER, Call, MESSAGE_PARAMETER, query_values};
use crate::wire::{Entry, Exchange, Request, Response, Wire};

/// The exchanges of a stream that are callback-polling.
#[derive(Clone, Debug, Default)]
pub struct Callbacks {
    exchanges: BTreeSet<Exchange>,
}

impl Callbacks {
    /// Finds them: a function and messages in the query, and for an answer a call with messages. An exchange that was answered
    /// otherwise, such as one that named no proper function, is left to those who look at the wrapping.
    pub fn of<'a>(wires: impl IntoIterator<Item = &'a Wire>) -> Self {
        let mut exchanges = BTreeSet::new();
        for wire in wires {
            if let Wire::Request(exchange, request) = wire
                && unwrapped(request).is_some()
            {
                exchanges.insert(*exchange);
            }
            if let Wire::Response(exchange, response) = wire
                && is_no_call(response)
            {
                exchanges.remove(exchange);
            }
        }
        Self { exchanges }
    }

    /// Gives an entry as it would be over long-polling; one that is no callback-polling as it is.
    #[must_use]
    pub fn unwrap<'a>(&self, entry: &'a Entry) -> Cow<'a, Entry> {
        match self.wire(&entry.wire) {
            Some(wire) => Cow::Owned(Entry { at: entry.at, from: entry.from, wire }),
            None => Cow::Borrowed(entry),
        }
    }

    fn wire(&self, wire: &Wire) -> Option<Wire> {
        let exchange = wire.exchange().filter(|exchange| self.exchanges.contains(exchange))?;
        if let Wire::Request(_, request) = wire {
            return Some(Wire::Request(exchange, unwrapped(request)?));
        }
        let Wire::Response(_, response) = wire else { return None };
        let body = http::callback_argument(&response.body).to_vec();
        Some(Wire::Response(exchange, Response { body, ..response.clone() }))
    }
}

/// The POST that stands for a GET of callback-polling: it names a function and has messages in its query.
fn unwrapped(request: &Request) -> Option<Request> {
    if request.method != "GET" || query_values(&request.target, CALLBACK_PARAMETER).is_empty() {
        return None;
    }
    let texts = query_values(&request.target, MESSAGE_PARAMETER);
    let body = match texts.as_slice() {
        [] => return None,
        [text] => text.clone(),
        // The parameter may be repeated (Bayeux 6.2.1).
        several => {
            let batches: Result<Vec<Batch>, _> =
                several.iter().map(|text| Batch::parse(text.as_bytes(), &Limits::TAKEN)).collect();
            match batches {
                Ok(batches) => Batch::array(batches.iter().flat_map(|batch| &batch.messages)),
                Err(_) => several.concat(),
            }
        }
    };
    let path = request.target.split('?').next().unwrap_or_default();
    Some(Request {
        method: "POST".to_owned(),
        target: path.to_owned(),
        headers: request.headers.clone(),
        body: body.into_bytes(),
    })
}

/// Whether the answer to callback-polling gives a page nothing: a success that is no call of a function with messages.
#[must_use]
pub fn is_no_call(response: &Response) -> bool {
    let is_of_messages = |call: Call<'_>| Batch::parse(call.argument, &Limits::TAKEN).is_ok();
    response.status == 200 && !http::call(&response.body).is_some_and(is_of_messages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;
    use crate::wire::{Headers, Side};

    fn get(target: &str) -> Wire {
        let (method, target) = ("GET".to_owned(), target.to_owned());
        Wire::Request(Exchange(1), Request { method, target, headers: Headers::new(), body: Vec::new() })
    }

    fn answer(body: &str) -> Wire {
        Wire::Response(Exchange(1), Response { status: 200, headers: Headers::new(), body: body.into() })
    }

    fn bodies(wires: Vec<Wire>) -> Vec<String> {
        let callbacks = Callbacks::of(&wires);
        let entries = wires.into_iter().map(|wire| Entry { at: Time::ZERO, from: Side::Client, wire });
        let body = |entry: Entry| {
            let wire = callbacks.unwrap(&entry).into_owned().wire;
            String::from_utf8_lossy(wire.carried().unwrap_or_default()).into_owned()
        };
        entries.map(body).collect()
    }

    #[test]
    fn a_call_is_its_messages() {
        let exchange = vec![get("/cometd/connect?jsonp=f&message=%5B%7B%22id%22:%221%22%7D%5D"), answer("f([{}]);")];
        assert_eq!(bodies(exchange), [r#"[{"id":"1"}]"#, "[{}]"]);
    }

    #[test]
    fn repeated_messages_are_one_array() {
        let exchange = vec![get(r#"/cometd?message=[{"id":"1"}]&jsonp=f&message={"id":"2"}"#)];
        assert_eq!(bodies(exchange), [r#"[{"id":"1"},{"id":"2"}]"#]);
    }

    /// A function whose name is no name, and a page in place of the call.
    #[test]
    fn an_exchange_without_a_call_of_messages_is_left_alone() {
        let target = "/cometd?jsonp=a(1)&message=[]";
        for body in ["a(1)([{}])", "<html>"] {
            assert_eq!(bodies(vec![get(target), answer(body)]), ["", body]);
        }
    }

    #[test]
    fn what_nobody_asked_a_call_for_stays_as_it_is() {
        assert_eq!(bodies(vec![get("/cometd?message=[]"), answer("f([{}])")]), ["", "f([{}])"]);
    }
}
