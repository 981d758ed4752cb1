//! A TURN server (RFC 8656) as a pure state machine, for clients whose network lets nothing through but one port.
//!
//! ```text
//!   client ──UDP, TCP or TLS──► Server::receive ─► Heard::ToMedia: as a datagram from a relayed address to a media address
//!     ▲                            │ Heard::Answer
//!     └────────────────────────────┴── Server::send ◄── a datagram of a session to a relayed address
//! ```
//!
//! It relays between its clients and the media of this very server. So an allocation needs no socket and no port of the machine: its relayed
//! address is one that no host has ([`is_relayed`]), and the shell hands what comes from it to the sessions as if it had come from a network.
//!
//! The wire is the crate `turn-types`, which has the messages and their integrity. A whole server is there too (`turn-server-proto`); it is not
//! used because it keeps something for each address that says anything, has users that do not end, and gives permission to any peer.
//!
//! # Invariants
//!
//! - Nothing is kept of anybody who has not shown credentials of this run: a nonce is checked by computing it again.
//! - A client reaches the addresses of [`Peers`] and nothing else; to ask for another one is answered 403.
//! - Every list has a bound of `reelroom_limits::media`, for a participant, an address and in all.
//! - No clock, socket, task or randomness: time comes in as [`Now`], the secret as [`Secret`].

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod allocation;
mod credentials;
mod framing;
#[doc(hidden)]
pub mod fuzzing;
mod peers;
mod server;
#[doc(hidden)]
pub mod testing;

pub use credentials::{Credentials, Secret};
pub use framing::{HEADER_BYTES, MESSAGE_BYTES, is_message, is_turn, len_on_stream};
pub use peers::{Peers, is_relayed};
pub use server::{Client, Dropped, Heard, Now, Server, Transport};
