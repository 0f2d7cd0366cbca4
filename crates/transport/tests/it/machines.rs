//! A Bayeux server machine behind a listener, and what it takes to run a client machine against it.

use std::future::pending;
use std::ops::ControlFlow;

use protocol::bayeux::server::{self, Server};
use protocol::machine::Machine;
use protocol::time::Time;
use protocol::wire::{Entry, Side};
use tokio::task::LocalSet;
use transport::client::Connections;
use transport::clock::Clock;
use transport::driver;
use transport::endpoint::Endpoint;
use transport::fields::Fields;
use transport::route::Route;
use transport::tap::Tap;
use transport::tls::{Identity, Trust};

/// Calls closures for entries and events.
pub(crate) struct Look<F, G>(pub(crate) F, pub(crate) G);

impl<E, F: FnMut(&Entry), G: FnMut(E) -> ControlFlow<()>> Tap<E> for Look<F, G> {
    fn entry(&mut self, entry: &Entry) {
        (self.0)(entry);
    }

    fn event(&mut self, _: Time, event: E) -> ControlFlow<()> {
        (self.1)(event)
    }
}

/// The path of the servlet.
pub(crate) const BASE: &str = "/genesys/cometd";

/// Runs a test on one thread, with tasks that need not be sent.
pub(crate) fn on_one_thread(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(LocalSet::new().run_until(test));
}

/// The straight way to a server without TLS.
pub(crate) fn plain(endpoint: &Endpoint) -> Route {
    Route::new(endpoint.clone(), &Trust::System).expect("without TLS nothing is to be trusted")
}

/// Serves a Bayeux server machine in the background and gives its endpoint. `look` sees its events.
pub(crate) async fn serve(limit: usize, look: impl FnMut(&server::Event) + 'static) -> Endpoint {
    let listener = transport::listener::bind("127.0.0.1:0").await.expect("a free port");
    let carrier = transport::server::Server::start(listener, limit);
    let endpoint = format!("http://{}{BASE}", carrier.address()).parse().expect("a URL");
    run_server(carrier, look);
    endpoint
}

/// The same with TLS, at a name that the certificate is for.
pub(crate) async fn serve_secure(identity: Identity, name: &str) -> Endpoint {
    let listener = transport::listener::bind("127.0.0.1:0").await.expect("a free port");
    let carrier = transport::server::Server::start_secure(listener, 1 << 20, identity);
    let endpoint = format!("https://{name}:{}{BASE}", carrier.address().port()).parse().expect("a URL");
    run_server(carrier, |_| {});
    endpoint
}

fn run_server(mut carrier: transport::server::Server, mut look: impl FnMut(&server::Event) + 'static) {
    tokio::task::spawn_local(async move {
        let mut machine = Server::new(server::Settings::new(BASE), 7);
        let mut tap = Look(
            |_: &Entry| {},
            |event| {
                look(&event);
                ControlFlow::Continue(())
            },
        );
        driver::run(&mut machine, Side::Server, &Clock::start(), &mut carrier, &mut tap, pending()).await
    });
}

/// Runs a client-side machine until `look` breaks off.
pub(crate) async fn run<M: Machine>(
    machine: &mut M,
    route: &Route,
    look: impl FnMut(M::Event) -> ControlFlow<()>,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut connections = Connections::new(route.clone(), Fields::default());
    let mut tap = Look(|entry: &Entry| entries.push(entry.clone()), look);
    let clock = Clock::start();
    driver::run(machine, Side::Client, &clock, &mut connections, &mut tap, pending()).await;
    entries
}
