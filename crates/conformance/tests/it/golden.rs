//! What some cases say and hear, in canonical form, for people to review.

use conformance::cases::case;
use protocol::wire::Transport;
use recording::compare::Canonical;
use rstest::rstest;

use crate::drive::{SEED, drive, healthy, settings};
use crate::shared::redacted;

#[rstest]
#[case("bayeux.handshake.succeeds", Transport::LongPolling)]
#[case("bayeux.disconnect.ends-session", Transport::WebSocket)]
#[case("bayeux.framing.malformed-json-survived", Transport::WebSocket)]
#[case("chat.request.starts", Transport::WebSocket)]
#[case("chat.key.wrong-refused", Transport::LongPolling)]
#[case("chat.agent.closes", Transport::WebSocket)]
#[case("chat.agent.closes", Transport::LongPolling)]
#[case("reconnect.session.forgotten-then-restored", Transport::LongPolling)]
fn a_case_reads_like_the_exchange(#[case] id: &str, #[case] transport: Transport) {
    let (_, entries) = drive(case(id).unwrap(), transport, &settings(), healthy(SEED), SEED);
    let canonical = Canonical::of_entries(&redacted(&entries, SEED));
    insta::assert_snapshot!(format!("{id}@{transport}"), canonical.to_string());
}
