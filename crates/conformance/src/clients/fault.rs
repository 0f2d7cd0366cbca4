//! What a scenario breaks on purpose, for whoever reads its tape. No verdict rests on it.

use std::collections::BTreeMap;

use protocol::time::Time;

/// Something that was broken on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When.
    pub at: Time,
    /// How many entries there were before.
    pub entries: usize,
    /// What: `swallowed` (a message of the client's that nobody gets), `answered` (one that the scenario answers itself),
    /// `refused` (a request), `dropped`, `replaced` and `delayed` (a message of the server's), `cut` and `closed` (a
    /// connection), `forgotten` (a session), `lost` (Chat Server).
    pub kind: &'static str,
    /// Where: an exchange or a socket as a tape names it, `session`, or `chat server`.
    pub place: String,
    /// On which `channel`, with which `status` or `code`, for how many `millis`.
    pub parameters: BTreeMap<String, String>,
}
