//! Tapes replayed to the chat client: as they were recorded, and tampered with.

mod runs;
mod replay;
mod tamper;
mod others;
mod fixtures;
mod hostile;
mod exact;
