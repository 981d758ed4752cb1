//! How long an Opus packet sounds (RFC 6716, 3.1 and 3.2).

/// No packet is longer, samples at 48 kHz.
const MAX_SAMPLES: u32 = 5_760;

/// Samples at 48 kHz, or `None` for what is no Opus packet.
pub(super) fn samples(packet: &[u8]) -> Option<u32> {
    let (head, rest) = packet.split_first()?;
    let config = u32::from(head >> 3);
    let frame = match config {
        0..12 => [480, 960, 1_920, 2_880][config as usize % 4],
        12..16 => [480, 960][config as usize % 2],
        _ => [120, 240, 480, 960][config as usize % 4],
    };
    let frames = match head & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(rest.first()? & 0x3f),
    };
    Some(frame * frames).filter(|samples| (1..=MAX_SAMPLES).contains(samples))
}

#[cfg(test)]
mod tests {
    use super::samples;

    #[test]
    fn lengths_are_those_of_the_table_of_contents() {
        let table: [(&[u8], Option<u32>); 9] = [
            (&[0x78, 0], Some(960)),
            (&[0xfc, 0], Some(960)),
            (&[0xf8 | 1, 0], Some(1_920)),
            (&[0x18, 0], Some(2_880)),
            (&[0xe0, 0], Some(120)),
            (&[0xf8 | 3, 3], Some(2_880)),
            (&[0xf8 | 3, 7], None),
            (&[0xff], None),
            (&[], None),
        ];
        for (packet, wanted) in table {
            assert_eq!(samples(packet), wanted, "{packet:?}");
        }
    }
}
