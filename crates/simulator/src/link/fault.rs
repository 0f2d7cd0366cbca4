//! Faults as data: what strikes which unit, and how often.

use std::time::Duration;

use protocol::bayeux::batch::Batch;
use protocol::wire::{Side, Wire};
use serde_json::Value;

/// What can go wrong with one unit: a request, a response, an upgrade, a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It arrives this much later; what follows it on its connection waits for it.
    Delay(Duration),
    /// It never arrives, and its connection breaks. Of a request: nothing was executed; of a response: everything was.
    Lose,
    /// It arrives, and this much later the connection breaks. At once means that the answer is lost.
    Break {
        /// How long after the arrival.
        after: Duration,
    },
    /// Neither it nor anything after it arrives, and nobody is told.
    Silence,
    /// It arrives twice, the second time this much later, as from a relay that repeats itself. Only a text on a WebSocket
    /// can. The copy is lost with its socket.
    Duplicate {
        /// How long after the first.
        after: Duration,
    },
    /// No connection can be made for it. Strikes requests and upgrades.
    Unreachable,
    /// Something in between answers it with this HTTP status. Strikes requests and upgrades.
    Refuse(u16),
}

impl Fault {
    /// Whether the fault can strike such a unit at all.
    const fn can_strike(self, wire: &Wire) -> bool {
        match self {
            Self::Delay(_) | Self::Lose | Self::Break { .. } | Self::Silence => true,
            Self::Duplicate { .. } => matches!(wire, Wire::Text(..)),
            Self::Unreachable | Self::Refuse(_) => matches!(wire, Wire::Request(..) | Wire::Upgrade(..)),
        }
    }
}

/// Which units a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// All.
    Any,
    /// What this side sends.
    From(Side),
    /// What this side sends with a message on this channel.
    Channel(Side, String),
    /// A client's unit with a publish of this chat operation.
    Operation(String),
    /// A WebSocket upgrade.
    Upgrade,
}

impl Unit {
    /// Whether the unit is one of these.
    #[must_use]
    pub fn matches(&self, from: Side, wire: &Wire) -> bool {
        match self {
            Self::Any => true,
            Self::From(side) => *side == from,
            Self::Channel(side, channel) => {
                *side == from && Batch::carried(wire).iter().any(|message| message.channel() == Some(channel))
            }
            Self::Operation(name) => {
                from == Side::Client
                    && Batch::carried(wire).iter().any(|message| {
                        message
                            .value("data")
                            .is_some_and(|data| data.get("operation").and_then(Value::as_str) == Some(name))
                    })
            }
            Self::Upgrade => matches!(wire, Wire::Upgrade(..)),
        }
    }
}

/// A fault and when it strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which units.
    pub on: Unit,
    /// How many of them are spared first.
    pub skip: u32,
    /// How many are struck after that.
    pub times: u32,
    /// The chance, in per cent, that one of those is struck indeed.
    pub percent: u8,
    /// What happens to them.
    pub fault: Fault,
}

impl Rule {
    /// Strikes the next of these units, once.
    #[must_use]
    pub const fn once(on: Unit, fault: Fault) -> Self {
        Self { on, skip: 0, times: 1, percent: 100, fault }
    }

    /// Strikes all of these units.
    #[must_use]
    pub const fn always(on: Unit, fault: Fault) -> Self {
        Self { on, skip: 0, times: u32::MAX, percent: 100, fault }
    }

    /// Strikes these units by chance.
    #[must_use]
    pub const fn sometimes(percent: u8, on: Unit, fault: Fault) -> Self {
        Self { on, skip: 0, times: u32::MAX, percent, fault }
    }

    /// Spares the first ones.
    #[must_use]
    pub const fn after(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    pub(super) fn strike(&mut self, from: Side, wire: &Wire, random: &mut fastrand::Rng) -> Option<Fault> {
        if self.times == 0 || !self.fault.can_strike(wire) || !self.on.matches(from, wire) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        if self.percent < 100 && random.u8(0..100) >= self.percent {
            return None;
        }
        self.times = self.times.saturating_sub(u32::from(self.times != u32::MAX));
        Some(self.fault)
    }
}
