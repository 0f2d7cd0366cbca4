//! A fake GMS with its Chat Server and agent, and the virtual link that joins it to a client without a network.
//!
//! [`gms`] is the server: a machine like any other, so a socket, a virtual link or a player can drive it. It has one node
//! or several behind a [`balancer`]. [`script`] says what an agent can do, and [`plan`] what agents do by themselves and what
//! befalls the server; a [`scenario`] is a plan with settings. [`control`] is for those who do the same by hand. [`link`] is the network in virtual time with its faults, [`pair`] joins two machines
//! over it, and [`trace`] prints what was seen on the wire, without secrets.
//!
//! [`history`] is what may happen to a chat, faults included, as data and text. [`run`] makes it happen, [`judge`] says
//! whether the client got through it unharmed, and [`minimise`] makes a history that it did not get through short.
//!
//! [`hostile`] plays any bytes as a server or a client that stops at nothing. [`sample`] is a model of the published sample
//! client, traps included.
//!
//! Nothing here reads a clock or a random source: the same seed gives the same bytes.

pub mod gms;
pub mod balancer;
pub mod script;
pub mod plan;
pub mod scenario;
pub mod control;
pub mod mutation;
pub mod link;
pub mod pair;
pub mod trace;
pub mod history;
pub mod judge;
pub mod run;
pub mod minimise;
pub mod hostile;
pub mod sample;
