//! The receive window of SCTP (RFC 9260, 3.3.4): how much a sender may have under way. Pure.
//!
//! str0m reads what arrives at once and always tells its full window. What is read waits for receivers that may be slow, so the
//! server tells less: the sender stops, in its own library, as if its network had become slower.

const HEADER_BYTES: usize = 12;
const CHECKSUM: std::ops::Range<usize> = 8..12;
const SACK: u8 = 3;
/// In a SACK, behind its type, flags, length and the number up to which everything has arrived.
const WINDOW: std::ops::Range<usize> = 8..12;

/// The packet with at most `window` in its acknowledgements; none where nothing has to be changed.
pub(super) fn with_window(packet: &[u8], window: u32) -> Option<Vec<u8>> {
    if window == u32::MAX {
        return None;
    }
    let mut changed = None;
    let mut at = HEADER_BYTES;
    while let Some([kind, _, high, low]) = packet.get(at..at + 4).and_then(|head| head.first_chunk().copied())
    {
        let len = usize::from(u16::from_be_bytes([high, low]));
        if len < 4 {
            return None;
        }
        let field = at + WINDOW.start..at + WINDOW.end;
        if kind == SACK
            && len >= WINDOW.end
            && let Some(told) = packet.get(field.clone())
            && u32::from_be_bytes(*told.first_chunk()?) > window
        {
            changed.get_or_insert_with(|| packet.to_vec())[field].copy_from_slice(&window.to_be_bytes());
        }
        at += len.next_multiple_of(4);
    }
    let mut changed = changed?;
    // A checksum of nothing was agreed to be none (RFC 9653).
    if changed[CHECKSUM] != [0; 4] {
        changed[CHECKSUM].fill(0);
        let checksum = crc32c(&changed);
        changed[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
    }
    Some(changed)
}

fn crc32c(bytes: &[u8]) -> u32 {
    static CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);
    CRC.checksum(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(chunks: &[&[u8]], with_checksum: bool) -> Vec<u8> {
        let mut packet = vec![0x13, 0x88, 0x13, 0x88, 1, 2, 3, 4, 0, 0, 0, 0];
        packet.extend(chunks.concat());
        if with_checksum {
            let checksum = crc32c(&packet);
            packet[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
        }
        packet
    }

    fn sack(window: u32) -> Vec<u8> {
        [&[SACK, 0, 0, 16, 0, 0, 0, 7][..], &window.to_be_bytes(), &[0; 4]].concat()
    }

    #[test]
    fn acknowledgements_tell_the_smaller_window_under_a_right_checksum() {
        let data = [0, 3, 0, 17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 53, 9, 0, 0, 0];
        for with_checksum in [true, false] {
            let changed = with_window(&packet(&[&data, &sack(1 << 20)], with_checksum), 5000).unwrap();
            assert_eq!(changed, packet(&[&data, &sack(5000)], with_checksum));
            assert_eq!(
                with_window(&packet(&[&sack(4000)], with_checksum), 5000),
                None,
                "less is told anyway"
            );
        }
        assert_eq!(with_window(&packet(&[&data], true), 0), None);
        assert_eq!(with_window(&packet(&[&sack(9)], true), u32::MAX), None);
    }

    #[test]
    fn what_is_no_packet_is_left_alone() {
        let whole = packet(&[&sack(1 << 20), &sack(1 << 20)], true);
        for len in 0..whole.len() {
            let _ = with_window(&whole[..len], 0);
        }
        assert_eq!(with_window(&packet(&[&[SACK, 0, 0, 0]], true), 0), None, "no endless loop");
    }
}
