//! Which part of the open files that the system gives is for what. Each connection is one.
//!
//! ```text
//!   ├── kept for recordings and stores ──┼── media over TCP ──┼── HTTP ──┼ spare ┤
//! ```

use crate::http::RESERVED_FILES;
use crate::media::TCP_CONNECTIONS;

/// So many sockets of HTTP may be open beyond those that are connected: those that are being closed, or told that there is no room.
pub const SPARE_SOCKETS: usize = 128;

/// Parts that are no more than all files together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Files {
    /// For recordings and stores.
    pub reserved: usize,
    /// Connections that carry media.
    pub media: usize,
    /// Connections of HTTP, besides the spare ones.
    pub connections: usize,
}

impl Files {
    /// Shares out what there is.
    pub fn of(all: usize) -> Self {
        let reserved = RESERVED_FILES.min(all / 2);
        let media = TCP_CONNECTIONS.min(all / 4);
        let rest = all - reserved - media;
        Self { reserved, media, connections: rest.saturating_sub(SPARE_SOCKETS).max(rest - rest.div_ceil(3)) }
    }
}

/// The spare sockets beside so many connections.
pub fn spare_sockets(connections: usize) -> usize {
    SPARE_SOCKETS.min(connections.div_ceil(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_given_out_twice_however_few_there_are() {
        for all in (0..20_000).chain([65_536, 1_048_576]) {
            let Files { reserved, media, connections } = Files::of(all);
            let given = reserved + media + connections + spare_sockets(connections);
            assert!((all.saturating_sub(1)..=all).contains(&given), "{given} of {all}");
        }
        assert_eq!(Files::of(4096), Files { reserved: 2048, media: 1024, connections: 896 });
    }
}
