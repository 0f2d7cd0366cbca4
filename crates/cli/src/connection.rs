//! How a command gets to a server: whom it trusts, the proxy on the way, and what it sends along with every request.

use std::path::PathBuf;

use ::conformance::doctor::finding;
use anyhow::anyhow;
use transport::endpoint::Endpoint;
use transport::fields::Fields;
use transport::route::{CannotConnect, Route};
use transport::tls::{Refused, Trust};

use crate::doctor;
use crate::exit::Failure;
use crate::input::Header;

/// Whom to trust.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct TrustArgs {
    /// PEM file with certificates of authorities to trust, for `https`; those of the system are trusted too.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub(crate) ca: Option<PathBuf>,
    /// Take any certificate, for `https`. Whoever sits between can read and change everything.
    #[arg(long)]
    pub(crate) insecure: bool,
}

impl TrustArgs {
    /// Whether anything was said.
    pub(crate) const fn is_given(&self) -> bool {
        self.ca.is_some() || self.insecure
    }

    /// The way to a server, with a proxy if the environment names one.
    pub(crate) fn route(&self, endpoint: &Endpoint) -> Result<Route, Failure> {
        if self.is_given() && !endpoint.is_secure() {
            let error =
                anyhow!("`--ca` and `--insecure` say whom to trust with `https`, and `{endpoint}` goes without");
            return Err(Failure::usage(error).hint("leave them out, or name the server by `https://`"));
        }
        let trust = match (&self.ca, self.insecure) {
            (_, true) => Trust::Anyone,
            (Some(path), _) => Trust::SystemAnd(path.clone()),
            (None, _) => Trust::System,
        };
        let route = Route::new(endpoint.clone(), &trust)
            .map_err(|error| Failure::usage(error).hint("name a file of certificates in PEM form with `--ca`"))?;
        if !endpoint.is_secure() {
            return Ok(route);
        }
        let from_environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Ok(match proxy_for(endpoint, from_environment)? {
            Some(proxy) => route.through(proxy),
            None => route,
        })
    }
}

/// The proxy that the environment names for a server with `https`.
fn proxy_for(endpoint: &Endpoint, environment: impl Fn(&str) -> Option<String>) -> Result<Option<Endpoint>, Failure> {
    let either = |small: &'static str, large: &'static str| {
        environment(small).map(|value| (small, value)).or_else(|| environment(large).map(|value| (large, value)))
    };
    let Some((name, url)) = either("https_proxy", "HTTPS_PROXY") else { return Ok(None) };
    let without = either("no_proxy", "NO_PROXY").map(|(_, list)| list).unwrap_or_default();
    if endpoint.is_loopback() || lists(&without, &endpoint.host) {
        return Ok(None);
    }
    let url = if url.contains("://") { url } else { format!("http://{url}") };
    // The value is not repeated: it may hold a password.
    match url.parse::<Endpoint>() {
        Ok(proxy) if !proxy.is_secure() => Ok(Some(proxy)),
        Ok(_) | Err(_) => {
            let error = anyhow!("environment variable `{name}` does not name a proxy that can be used");
            let hint = "an example is `http://proxy:3128`: without TLS to the proxy itself, user name and password";
            Err(Failure::usage(error).hint(hint))
        }
    }
}

/// Whether a list of hosts and domains, parted by commas, has a host; `*` stands for all.
fn lists(list: &str, host: &str) -> bool {
    list.split(',').map(|entry| entry.trim().trim_start_matches('.')).filter(|entry| !entry.is_empty()).any(|entry| {
        let subdomain = host.len().checked_sub(entry.len() + 1).is_some_and(|dot| {
            host.as_bytes()[dot] == b'.' && host.as_bytes()[dot + 1..].eq_ignore_ascii_case(entry.as_bytes())
        });
        entry == "*" || host.eq_ignore_ascii_case(entry) || subdomain
    })
}

/// The header fields with their values from the environment.
pub(crate) fn fields(headers: &[Header]) -> Result<Fields, Failure> {
    let mut fields = Fields::default();
    for header in headers {
        fields.add(&header.name, &header.value()?).map_err(Failure::usage)?;
    }
    Ok(fields)
}

/// What to do about a server that cannot be reached.
pub(crate) async fn remedy(route: &Route, error: &CannotConnect) -> &'static str {
    if let Some(option) = remedy_by_option(error) {
        return option;
    }
    // The error of the operating system does not say whether it was the name.
    let unknown = matches!(error, CannotConnect::Unreachable(_)) && route.addresses().await.is_err();
    if unknown { finding::NAME_UNKNOWN.remedy } else { doctor::kind_of(error).remedy }
}

/// The option or the variable that helps, if one does.
const fn remedy_by_option(error: &CannotConnect) -> Option<&'static str> {
    match error {
        CannotConnect::Tls(refused) => match refused {
            Refused::Untrusted => {
                Some("name the certificate of its authority with `--ca FILE`; `--insecure` takes any certificate")
            }
            Refused::WrongHost { .. } => {
                Some("name the server in the URL as its certificate does; `--insecure` takes any certificate")
            }
            Refused::Expired => Some("renew the server's certificate; `--insecure` takes any certificate"),
            Refused::NotYetValid => Some("compare the clocks of server and client; `--insecure` takes any certificate"),
            Refused::Unfit(_) => Some(
                "give the server another certificate, or take any with `--insecure`; one that `openssl req -x509` makes must \
                 not call itself an authority: add `-addext basicConstraints=critical,CA:FALSE`",
            ),
            Refused::NotTls => Some("is it a port for `http://`?"),
            Refused::NoName(_) | Refused::Handshake(_) | Refused::Broken(_) => None,
        },
        CannotConnect::NoProxy { .. } | CannotConnect::NoTunnel { .. } => Some(
            "the proxy stands in the environment variable `HTTPS_PROXY`; hosts in `NO_PROXY` are reached without it",
        ),
        CannotConnect::Unreachable(_) | CannotConnect::TimedOut(_) | CannotConnect::Broken(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn proxy(url: &str, environment: &[(&str, &str)]) -> Result<Option<String>, String> {
        let endpoint = url.parse().unwrap();
        let named = |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        match proxy_for(&endpoint, named) {
            Ok(proxy) => Ok(proxy.map(|proxy| proxy.origin())),
            Err(failure) => Err(failure.to_string()),
        }
    }

    #[rstest]
    #[case(&[("HTTPS_PROXY", "http://p:3128")], Some("http://p:3128"))]
    #[case(&[("https_proxy", "q:1"), ("HTTPS_PROXY", "http://p:3128")], Some("http://q:1"))]
    #[case(&[("HTTP_PROXY", "http://p:3128")], None)]
    #[case(&[("HTTPS_PROXY", "p"), ("NO_PROXY", "a.example, .Shop.example")], None)]
    #[case(&[("HTTPS_PROXY", "p"), ("NO_PROXY", "gms.shop.example")], None)]
    #[case(&[("HTTPS_PROXY", "p"), ("no_proxy", "*")], None)]
    #[case(&[("HTTPS_PROXY", "p"), ("NO_PROXY", "s.shop.example,hop.example,x.gms.shop.example,,")], Some("http://p"))]
    fn a_proxy_is_what_the_environment_says(#[case] environment: &[(&str, &str)], #[case] says: Option<&str>) {
        assert_eq!(proxy("https://gms.shop.example/", environment).unwrap().as_deref(), says);
    }

    #[test]
    fn this_machine_is_reached_without_a_proxy() {
        for url in ["https://localhost/", "https://127.0.0.1:8443/", "https://[::1]/"] {
            assert_eq!(proxy(url, &[("HTTPS_PROXY", "http://p:3128")]), Ok(None));
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_named_without_its_password() {
        for url in ["http://ann:hunter2@p:3128", "https://p", "p:x", "socks5://ann:hunter2@p"] {
            let says = proxy("https://gms/", &[("HTTPS_PROXY", url)]).unwrap_err();
            assert!(says.contains("`HTTPS_PROXY`") && !says.contains("hunter2"), "{says}");
        }
    }
}
