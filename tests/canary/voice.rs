//! A voice for a server that puts a canary into everything that it says, and takes it out of what it hears.

use protocol::wire::{Headers, Response, Wire};

/// Members in front of whose values the canary is put.
const MARKED: [&str; 7] = ["clientId", "secureKey", "userId", "chatId", "alias", "file-id", "fileId"];

/// Objects that get one more member.
const EXTENDED: [&str; 3] = ["data", "from", "ext"];

/// Text in, text out; it knows what the simulator says.
#[derive(Clone)]
pub(crate) struct Voice {
    canary: String,
    surroundings: String,
}

impl Voice {
    /// Says a canary in ids, names and extras, and another word in header fields, advice and errors, which the doctor shows.
    pub(crate) const fn new(canary: String, surroundings: String) -> Self {
        Self { canary, surroundings }
    }

    fn planted(&self, text: &str) -> String {
        let Self { canary, surroundings } = self;
        let mut text = text.to_owned();
        for member in MARKED {
            text = text.replace(&format!("\"{member}\":\""), &format!("\"{member}\":\"{canary}"));
        }
        for object in EXTENDED {
            text = text.replace(&format!("\"{object}\":{{\""), &format!("\"{object}\":{{\"why\":\"{canary}\",\""));
        }
        text.replace("\"channel\":", &format!("\"mood\":\"{canary}\",\"channel\":"))
            .replace("\"Morgan\"", &format!("\"{canary}Morgan\""))
            .replace("\"advice\":{\"", &format!("\"advice\":{{\"why\":\"{surroundings}\",\""))
            .replace("\"402::", &format!("\"402:{surroundings}:{surroundings} "))
            .replace("<html", &format!("<{surroundings}"))
    }

    /// What goes out for what the server says.
    pub(crate) fn says(&self, wire: Wire) -> Wire {
        let Self { canary, surroundings } = self;
        let fields = |headers: Headers| {
            headers
                .with(
                    "Set-Cookie",
                    &format!("tracker={canary}; Path=/{surroundings}; Domain={surroundings}.example.org"),
                )
                .with("Via", surroundings)
                .with("X-Node", surroundings)
        };
        let whole = |response: Response| Response {
            headers: fields(response.headers),
            body: match String::from_utf8(response.body) {
                Ok(text) => self.planted(&text).into_bytes(),
                Err(file) => [file.into_bytes(), canary.clone().into_bytes()].concat(),
            },
            ..response
        };
        match wire {
            Wire::Response(exchange, response) => Wire::Response(exchange, whole(response)),
            Wire::Refused(socket, response) => Wire::Refused(socket, whole(response)),
            Wire::Upgraded(socket, headers) => Wire::Upgraded(socket, fields(headers)),
            Wire::Text(socket, text) => Wire::Text(socket, self.planted(&text)),
            other => other,
        }
    }

    /// What the server hears of what comes in.
    pub(crate) fn hears(&self, wire: Wire) -> Wire {
        let without = |text: &str| text.replace(&self.canary, "");
        match wire {
            Wire::Request(exchange, mut request) => {
                request.target = without(&request.target);
                if let Ok(text) = std::str::from_utf8(&request.body) {
                    request.body = without(text).into_bytes();
                }
                for (_, value) in &mut request.headers.0 {
                    *value = without(value);
                }
                Wire::Request(exchange, request)
            }
            Wire::Text(socket, text) => Wire::Text(socket, without(&text)),
            other => other,
        }
    }
}
