//! STUN (RFC 8489), as far as it says which session a datagram is for.

use str0m::ice::StunMessage;

/// The local ufrag that a STUN request is meant for.
pub(crate) fn local_ufrag(datagram: &[u8]) -> Option<String> {
    if datagram.first().is_none_or(|byte| *byte > 1) {
        return None;
    }
    let message = StunMessage::parse(datagram).ok()?;
    message.split_username().map(|(local, _)| local.to_owned())
}
