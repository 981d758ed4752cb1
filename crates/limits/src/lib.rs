//! What guests, pages, clients and stores may ask for at most, said once.
//!
//! ```text
//!   a message, a list, a name, a connection ─► its limit here ─► decoded, cloned, kept, waited for
//!                                                   └─► whoever runs into it is told, and nobody else notices
//! ```
//!
//! The code at each door takes its limits from here and checks them before it spends memory or time in proportion to what somebody
//! says. docs/bounds.md is made of [`tables`].

#![forbid(unsafe_code)]

/// Declares limits, and with them the rows of docs/bounds.md: the comment of a limit is what an operator reads.
macro_rules! limits {
    ($($(#[doc = $what:literal])+ pub const $name:ident: $kind:ty = $value:expr;)+) => {
        $($(#[doc = $what])+ pub const $name: $kind = $value;)+

        /// The limits of this module, for docs/bounds.md.
        pub(super) fn rows() -> Vec<super::Row> {
            vec![$(super::Row {
                name: stringify!($name),
                value: format!("{:?}", $name),
                what: concat!($($what),+).trim(),
            }),+]
        }
    };
}

pub mod accounts;
pub mod agents;
pub mod asker;
pub mod audit;
pub mod events;
pub mod files;
pub mod http;
pub mod library;
pub mod media;
pub mod pace;
pub mod rooms;
pub mod shares;
pub mod signalling;
pub mod tls;

/// A limit as docs/bounds.md shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name in the code.
    pub name: &'static str,
    /// Its value, with the unit that its name says, or as a duration.
    pub value: String,
    /// What it bounds and what happens to whoever runs into it.
    pub what: &'static str,
}

/// Every limit, by the door that it stands at.
pub fn tables() -> [(&'static str, Vec<Row>); 11] {
    [
        ("HTTP and WebSockets", http::rows()),
        ("HTTPS", tls::rows()),
        ("Signalling, rooms and participants", signalling::rows()),
        ("Media", media::rows()),
        ("Agents", agents::rows()),
        ("Recordings and stores", library::rows()),
        ("Owner, sessions and API keys", accounts::rows()),
        ("Links to recordings", shares::rows()),
        ("Rooms and their links", rooms::rows()),
        ("Events and webhooks", events::rows()),
        ("Audit log and overview", audit::rows()),
    ]
}

#[cfg(test)]
mod tests {
    use super::tables;

    #[test]
    fn the_page_of_bounds_says_what_the_code_does() {
        let mut page = String::from(
            "# What everybody is bounded by\n\nNothing that a guest, a page, a client or a store says makes the server keep, decode or wait for more than \
             this. Whoever runs into a limit\nis told; others do not notice. This page is made from `crates/limits` (`UPDATE=1 cargo test -p \
             reelroom-limits`).\n",
        );
        for (door, rows) in tables() {
            page += &format!("\n## {door}\n\n| limit | value | what it bounds |\n|---|---|---|\n");
            for row in rows {
                page += &format!("| `{}` | {} | {} |\n", row.name, row.value, row.what);
            }
        }
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/bounds.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(file, &page).expect("docs can be written");
        }
        assert!(
            std::fs::read_to_string(file).unwrap_or_default() == page,
            "docs/bounds.md is not up to date: UPDATE=1 cargo test -p reelroom-limits"
        );
    }
}
