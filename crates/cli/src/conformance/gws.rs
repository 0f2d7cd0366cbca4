//! The agent at Genesys Web Services, on real sockets: one session for a whole run.
//!
//! Rehearsed: written from the public documentation and tried against a small fake, never against the real thing.

mod desk;
mod operation;

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Duration;

use ::conformance::actor::Request;
use protocol::chat::auth;
use protocol::secret::Secret;
use protocol::time::Time;
use protocol::wire::{Entry, Side};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use transport::client::Connections;
use transport::clock::Clock;
use transport::driver;
use transport::fields::Fields;
use transport::route::Route;
use transport::tap::Tap;

use self::desk::{Desk, News, Wish};
use super::select::Planned;
use crate::exit::Failure;

/// What a report calls this agent.
pub(super) const NAME: &str = "gws (rehearsed)";

/// How long the agent may take to log in and to be ready.
const BEGIN: Duration = Duration::from_secs(20);

/// How long he may take to leave.
const LEAVE: Duration = Duration::from_secs(5);

/// How much earlier than its case a step is given up, so that there is time to say why.
const MARGIN: Duration = Duration::from_secs(1);

/// The case that needs a second agent.
const TRANSFER: &str = "chat.agent.hands-over";

/// Leaves out what this agent cannot do.
pub(super) fn spare(plan: &mut [Planned]) {
    for planned in plan.iter_mut().filter(|planned| planned.entry.case.id == TRANSFER) {
        planned.entry.not_applicable.get_or_insert("the agent of `gws` has nobody to hand a chat over to");
    }
}

/// What the desk is told to do.
enum Order {
    Ask(Wish, Duration, oneshot::Sender<Result<(), String>>),
    PutAway(BTreeSet<String>),
    Leave,
}

/// Whoever holds it can ask the agent.
#[derive(Clone, Debug)]
pub(super) struct Gws {
    origin: Rc<str>,
    orders: mpsc::UnboundedSender<Order>,
    desk: Rc<Mutex<Option<JoinHandle<()>>>>,
}

impl Gws {
    /// An agent who has not begun yet. Must be called within a `LocalSet`. The login is `user:password`.
    pub(super) fn new(route: Route, login: &Secret) -> Result<Self, Failure> {
        let mut fields = Fields::default();
        let credentials = Secret::new(format!("Basic {}", auth::encode(login).expose()));
        fields.add("Authorization", &credentials).map_err(Failure::usage)?;
        let origin = route.endpoint().origin().into();
        let (orders, given) = mpsc::unbounded_channel();
        let desk = tokio::task::spawn_local(attend(Connections::new(route, fields), given));
        Ok(Self { origin, orders, desk: Rc::new(Mutex::new(Some(desk))) })
    }

    /// Logs the agent in and makes him ready for chats.
    ///
    /// # Errors
    ///
    /// What GWS did instead, without any text of its own.
    pub(super) async fn begin(&self) -> Result<(), String> {
        self.ask(Wish::Begin, BEGIN).await
    }

    /// Does a step.
    ///
    /// # Errors
    ///
    /// What GWS did instead, without any text of its own.
    pub(super) async fn perform(&self, request: &Request) -> Result<(), String> {
        let within = request.within.saturating_sub(MARGIN);
        self.ask(Wish::Do(request.chat.clone(), request.step.clone()), within).await
    }

    async fn ask(&self, wish: Wish, within: Duration) -> Result<(), String> {
        let (told, answer) = oneshot::channel();
        // Without a desk the answer cannot come.
        let _ = self.orders.send(Order::Ask(wish, within, told));
        let answer = answer.await.unwrap_or_else(|_| Err("is left already".to_owned()));
        answer.map_err(|why| format!("{} {why}", self.origin))
    }

    /// Notes the chats of one case, to put them away when it ends.
    pub(super) fn case(&self) -> Case {
        Case { orders: self.orders.clone(), chats: BTreeSet::new() }
    }

    /// Ends the agent's session, if that does not take too long.
    pub(super) async fn leave(&self) {
        let _ = self.orders.send(Order::Leave);
        if let Some(desk) = self.desk.lock().await.take() {
            let _ = tokio::time::timeout(LEAVE, desk).await;
        }
    }
}

/// The chats of one case. Dropping it puts them away, even when the case is cut short.
pub(super) struct Case {
    orders: mpsc::UnboundedSender<Order>,
    chats: BTreeSet<String>,
}

impl Case {
    pub(super) fn note(&mut self, chat: &str) {
        self.chats.insert(chat.to_owned());
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        // The agent may have left before.
        let _ = self.orders.send(Order::PutAway(std::mem::take(&mut self.chats)));
    }
}

/// Whoever waits for an answer.
#[derive(Default)]
struct Waiting {
    answers: BTreeMap<u64, oneshot::Sender<Result<(), String>>>,
}

impl Tap<News> for Waiting {
    fn entry(&mut self, _: &Entry) {}

    fn event(&mut self, _: Time, event: News) -> ControlFlow<()> {
        match event {
            News::Answered(number, what) => {
                if let Some(answer) = self.answers.remove(&number) {
                    // A case that has ended waits no more.
                    let _ = answer.send(what);
                }
                ControlFlow::Continue(())
            }
            News::Left => ControlFlow::Break(()),
        }
    }
}

/// Runs the desk until the agent has left.
async fn attend(mut connections: Connections, mut orders: mpsc::UnboundedReceiver<Order>) {
    let (clock, mut desk, mut waiting) = (Clock::start(), Desk::new(), Waiting::default());
    for number in 0.. {
        let mut order = None;
        let wait = async {
            match orders.recv().await {
                Some(given) => order = Some(given),
                None => pending().await,
            }
        };
        let ended = driver::run(&mut desk, Side::Client, &clock, &mut connections, &mut waiting, wait).await;
        if ended == driver::Ended::ByTap {
            return;
        }
        let now = clock.now();
        match order {
            Some(Order::Ask(wish, within, told)) => {
                waiting.answers.insert(number, told);
                desk.ask(now, number, wish, within);
            }
            Some(Order::PutAway(chats)) => chats.iter().for_each(|chat| desk.put_away(now, chat)),
            Some(Order::Leave) => desk.leave(now),
            None => {}
        }
    }
}
