//! The shell of TURN: its clients' messages in, datagrams of sessions out.
//!
//! ```text
//!   UDP at a port of its own, or at that of media ─┐                     ┌─► route: as if it came from a network
//!   streams of the page's port, or of media's ─────┴─► reelroom_turn ────┤
//!   sessions ─► send, to an address that no host has ─►                  └─► the client, by the way that it came
//! ```
//!
//! To a session a relayed address is an address as any other, so that nothing above this module knows of TURN.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use reelroom_protocol::proto::IceServer;
use reelroom_turn::{Client, Dropped, Heard, MESSAGE_BYTES, Now, Peers, Server, is_relayed};

use super::addresses::Reach;
use super::passage::turn_urls;
use super::{Arrived, Datagram, Endpoint, Mux, Transport};
use crate::drops::Reason;
use crate::session::stun;

fn now() -> Now {
    let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Now { at: Instant::now(), unix_s: unix.as_secs() }
}

fn reason(dropped: Dropped) -> Reason {
    match dropped {
        Dropped::NoTurn => Reason::NoTurn,
        Dropped::NoAllocation | Dropped::NoPermission => Reason::TurnRefused,
        Dropped::TooMuch => Reason::TurnTooMuch,
        Dropped::TooFast => Reason::TurnTooFast,
    }
}

impl Mux {
    /// What a participant's browser is told of TURN servers, with credentials of its own. Each join, and each reconnect, is given new ones.
    pub(crate) fn ice_servers(&self, participant: &str, reach: Reach) -> Vec<IceServer> {
        let told = self.addresses(reach).told;
        // Whoever is on this machine reaches its media, and the page perhaps by another name; a developer may want to try a relay all the same.
        let page = self.config.passage.page.as_ref().filter(|_| reach != Reach::ThisMachine);
        let by_page = page.map(|page| page.candidates(&told, self.advertises())).unwrap_or_default();
        let urls = turn_urls(page, &by_page, self.turn_port(), &told);
        if urls.is_empty() {
            return Vec::new();
        }
        let given = self.turn().issue(participant, now().unix_s);
        vec![IceServer { urls, username: given.username, credential: given.password }]
    }

    pub(super) fn turn(&self) -> MutexGuard<'_, Server> {
        self.turn.lock().expect("no code panics while it holds the allocations")
    }

    /// The port of TURN over UDP.
    pub(super) fn turn_port(&self) -> Option<u16> {
        let port = self.config.passage.turn_udp_port?;
        Some(if port == self.config.port { self.port } else { port })
    }

    /// Whether a datagram at the port of media is one of TURN.
    pub(super) fn is_turn_here(&self, bytes: &[u8]) -> bool {
        self.config.passage.turn_udp_port == Some(self.config.port)
            && reelroom_turn::is_turn(bytes)
            && stun::Request::parse(bytes).is_none()
    }

    /// Takes a message of a client. Whether it has an allocation after that.
    pub(super) fn hear_turn(&self, client: Client, bytes: &[u8]) -> bool {
        let (heard, has_allocation, ended) = {
            let mut server = self.turn();
            let heard = server.receive(client, bytes, now());
            (heard, server.has_allocation(&client), server.take_ended())
        };
        self.forget_relayed(&ended);
        match heard {
            Heard::Answer(answer) => self.to_turn_client(&client, answer),
            Heard::ToMedia { relayed, local, bytes } => {
                self.route(Arrived::now(Transport::Udp, relayed, local), bytes);
            }
            Heard::Dropped(dropped) => self.drops.count(reason(dropped)),
        }
        has_allocation
    }

    /// Sends a datagram to a relayed address.
    pub(super) fn send_relayed(&self, datagram: &Datagram) {
        let sent = self.turn().send(datagram.destination, datagram.source, &datagram.bytes, Instant::now());
        match sent {
            Ok((client, bytes)) => self.to_turn_client(&client, bytes),
            Err(dropped) => self.drops.count(reason(dropped)),
        }
    }

    fn to_turn_client(&self, client: &Client, bytes: Vec<u8>) {
        let is_taken = match client.transport {
            reelroom_turn::Transport::Udp => {
                let endpoints = self.endpoints.read().expect("nobody panics while it changes endpoints");
                let socket = endpoints.iter().find_map(|endpoint| endpoint.socket_at(client.local));
                socket.is_some_and(|socket| socket.try_send_to(&bytes, client.remote).is_ok())
            }
            reelroom_turn::Transport::Stream => self.connections.send(client.remote, bytes),
        };
        if !is_taken {
            self.drops.count(Reason::NotTaken);
        }
    }

    /// A client's stream is over.
    pub(super) fn turn_closed(&self, client: &Client) {
        let ended = {
            let mut server = self.turn();
            server.closed(client);
            server.take_ended()
        };
        self.forget_relayed(&ended);
    }

    /// Ends allocations that are over.
    pub(super) fn tend_turn(&self) {
        let ended = {
            let mut server = self.turn();
            server.timeout(Instant::now());
            server.take_ended()
        };
        self.forget_relayed(&ended);
    }

    fn forget_relayed(&self, ended: &[SocketAddr]) {
        if ended.is_empty() {
            return;
        }
        let mut routes = self.routes();
        for relayed in ended {
            routes.closed((Transport::Udp, *relayed));
        }
    }

    /// Tells TURN where media is: now and whenever that changes.
    pub(super) fn tell_peers(&self) {
        // Those that only this machine is told are media too.
        let addresses = self.addresses(Reach::ThisMachine);
        self.turn().set_peers(Peers::new(&addresses.bound, &addresses.told));
    }

    /// The address from which somebody came who is seen at `source`.
    pub(super) fn behind(&self, source: SocketAddr) -> IpAddr {
        let client = if is_relayed(source.ip()) { self.turn().client_of(source) } else { None };
        client.map_or(source.ip(), |client| client.remote.ip())
    }

    /// Reads the port of TURN over UDP at an address, where it has one of its own.
    pub(super) async fn read_turn(self: Arc<Self>, endpoint: Arc<Endpoint>) {
        let Some((address, socket)) = &endpoint.turn else { return };
        let mut buffer = [0; MESSAGE_BYTES];
        loop {
            let received = tokio::select! {
                () = endpoint.stop.cancelled() => return,
                received = socket.recv_from(&mut buffer) => received,
            };
            match received {
                Ok((_, source)) if is_relayed(source.ip()) => self.drops.count(Reason::UnknownAddress),
                Ok((len, remote)) => {
                    let transport = reelroom_turn::Transport::Udp;
                    self.hear_turn(Client { transport, remote, local: *address }, &buffer[..len]);
                }
                Err(error) => tracing::trace!(%error, "receiving a datagram failed"),
            }
        }
    }
}
