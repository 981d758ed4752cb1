//! Where a message of TURN begins and ends: among datagrams of other protocols on a port, and on a stream (RFC 8656, 12.5). Pure.

use reelroom_limits::media::DATAGRAM_BYTES;

/// So many bytes of a message say how long it is.
pub const HEADER_BYTES: usize = 4;
/// A message has at most so many bytes: a datagram of media, and what TURN puts around it.
pub const MESSAGE_BYTES: usize = DATAGRAM_BYTES + 64;

const STUN_HEADER_BYTES: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const BINDING_REQUEST: [u8; 2] = [0, 1];
/// Allocate, Refresh, CreatePermission and ChannelBind requests, and the Send indication.
const OF_TURN: [[u8; 2]; 5] = [[0, 3], [0, 4], [0, 8], [0, 9], [0, 0x16]];

/// Whether a stream or a datagram begins as a message of STUN, and so of TURN, does.
pub fn is_message(bytes: &[u8]) -> bool {
    matches!(bytes, [0..=3, ..]) && bytes.get(4..8) == Some(&COOKIE)
}

/// Whether a datagram is one that TURN has and ICE has not. A request of Binding is both: it is ICE's where it names a session.
pub fn is_turn(datagram: &[u8]) -> bool {
    match datagram {
        [0x40..=0x4f, ..] => datagram.len() >= HEADER_BYTES,
        [first, second, ..] => {
            let kind = [*first, *second];
            is_message(datagram) && (OF_TURN.contains(&kind) || kind == BINDING_REQUEST)
        }
        _ => false,
    }
}

/// How many bytes a message has on a stream that begins with these, those and what fills it up to four included; nothing where it is no message,
/// or a longer one than anybody sends.
pub fn len_on_stream(header: [u8; HEADER_BYTES]) -> Option<usize> {
    let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let whole = match header[0] {
        0..=3 if len.is_multiple_of(4) => STUN_HEADER_BYTES + len,
        0x40..=0x4f => HEADER_BYTES + len.next_multiple_of(4),
        _ => return None,
    };
    (whole <= MESSAGE_BYTES).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_says_how_long_its_next_message_is() {
        for (header, expected) in [
            ([0, 1, 0, 0], Some(20)),
            ([0, 3, 0, 8], Some(28)),
            ([0, 3, 0, 7], None),
            ([0x40, 0, 0, 0], Some(4)),
            ([0x40, 1, 0, 5], Some(12)),
            ([0x4f, 0xff, 0, 8], Some(12)),
            ([0x50, 0, 0, 8], None),
            ([0x16, 3, 1, 0], None),
            (*b"GET ", None),
            ([0, 3, 0xff, 0xfc], None),
            ([0x40, 0, 0xff, 0xff], None),
        ] {
            assert_eq!(len_on_stream(header), expected, "{header:?}");
        }
    }

    #[test]
    fn what_is_of_turn_is_told_from_what_is_of_ice_dtls_and_media() {
        let stun = |kind: [u8; 2]| [&kind[..], &[0, 0], &COOKIE, &[7; 12]].concat();
        for kind in OF_TURN {
            assert!(is_turn(&stun(kind)), "{kind:?}");
        }
        assert!(is_turn(&[0x40, 0, 0, 1, 9]) && is_message(&stun([0, 3])));
        for other in [
            stun([1, 1]),
            stun([0, 0x17]),
            [&[0, 3, 0, 0][..], &[9; 16]].concat(),
            vec![22; 40],
            vec![0x80; 40],
            vec![0x40],
            vec![0, 3],
            Vec::new(),
        ] {
            assert!(!is_turn(&other), "{other:?}");
        }
    }
}
