//! The way to a target: its name, a connection, TLS.

use std::io::ErrorKind;
use std::time::Duration;

use ::conformance::doctor::Diagnosis;
use ::conformance::doctor::finding::{self, Finding, Kind};
use transport::endpoint::{Endpoint, Scheme};
use transport::route::{CannotConnect, Route};
use transport::tls::{Refused, Trust};

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long a second look at a target that has failed may take.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// Tries the way and turns back.
pub(super) async fn reach(route: &Route) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    let endpoint = route.endpoint();
    match tokio::time::timeout(PATIENCE, route.addresses()).await {
        Ok(Ok(Some(addresses))) => {
            let hosts: Vec<String> = addresses.iter().map(|address| format!("`{}`", address.ip())).collect();
            diagnosis.fact("address", hosts.join(", "));
            if hosts.len() > 1 && !endpoint.is_loopback() {
                let seen = format!("`{}` stands for {} addresses: {}", endpoint.host, hosts.len(), hosts.join(", "));
                diagnosis.find(Finding::new(&finding::MANY_ADDRESSES, seen));
            }
        }
        Ok(Ok(None)) => diagnosis.fact("address", "looked up by the proxy"),
        Ok(Err(error)) => {
            let seen = format!("the name `{}` was not found: {error}", endpoint.host);
            diagnosis.find(Finding::new(&finding::NAME_UNKNOWN, seen));
            return diagnosis;
        }
        Err(_) => {
            let seen = format!("the name `{}` was not found within {} s", endpoint.host, PATIENCE.as_secs());
            diagnosis.find(Finding::new(&finding::NAME_UNKNOWN, seen));
            return diagnosis;
        }
    }
    if let Err(error) = route.probe(PATIENCE).await {
        let mut kind = kind_of(&error);
        // A port that accepts connections and then says nothing is another matter than one that loses packets.
        if matches!(error, CannotConnect::TimedOut(_)) && endpoint.is_secure() && accepts(endpoint).await {
            kind = &finding::TLS_FAILED;
        }
        let seen = match &error {
            CannotConnect::Tls(_) => format!("`{}` accepts connections, and {}", endpoint.origin(), error.explain()),
            _ => format!("`{}`: {}", endpoint.origin(), error.explain()),
        };
        diagnosis.find(Finding::new(kind, seen));
        return diagnosis;
    }
    diagnosis.fact("reached", if endpoint.is_secure() { "with TLS and a trusted certificate" } else { "without TLS" });
    diagnosis
}

/// What it is that keeps a connection from being made.
pub(crate) fn kind_of(error: &CannotConnect) -> &'static Kind {
    match error {
        CannotConnect::Unreachable(error) if error.kind() == ErrorKind::ConnectionRefused => &finding::NOT_LISTENING,
        CannotConnect::Unreachable(_) | CannotConnect::TimedOut(_) => &finding::NO_CONNECTION,
        CannotConnect::NoProxy { .. } | CannotConnect::NoTunnel { .. } => &finding::NO_TUNNEL,
        CannotConnect::Broken(_) => &finding::HANGS_UP,
        CannotConnect::Tls(refused) => match refused {
            Refused::Untrusted => &finding::TLS_UNTRUSTED,
            Refused::WrongHost { .. } | Refused::NoName(_) => &finding::TLS_WRONG_HOST,
            Refused::Expired => &finding::TLS_EXPIRED,
            Refused::NotYetValid => &finding::TLS_NOT_YET_VALID,
            Refused::Unfit(_) => &finding::TLS_UNFIT,
            Refused::NotTls => &finding::TLS_NOT_SPOKEN,
            Refused::Handshake(_) | Refused::Broken(_) => &finding::TLS_FAILED,
        },
    }
}

/// The same server with `https`, on the same port.
pub(super) fn secure(endpoint: &Endpoint) -> Endpoint {
    Endpoint { scheme: Scheme::Https, ..endpoint.clone() }
}

/// Whether a server shakes hands for TLS, whoever it is.
pub(super) async fn speaks_tls(endpoint: &Endpoint) -> bool {
    if endpoint.is_secure() {
        return false;
    }
    let Ok(route) = Route::new(secure(endpoint), &Trust::Anyone) else { return false };
    route.probe(SECOND_LOOK).await.is_ok()
}

/// Whether a server accepts connections, whatever it does then.
async fn accepts(endpoint: &Endpoint) -> bool {
    let asked = Endpoint { scheme: Scheme::Http, ..endpoint.clone() };
    let Ok(route) = Route::new(asked, &Trust::System) else { return false };
    route.probe(SECOND_LOOK).await.is_ok()
}
