//! The media server as a whole: its sockets, rooms and webhooks. It knows no route.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use reelroom_limits::pace::TooFast;
use reelroom_protocol::ids::{EgressId, RoomName};
use reelroom_protocol::keys::ApiKeys;
use tokio::io::{AsyncRead, AsyncWrite};
use url::Url;

use crate::agents::Agents;
use crate::error::MediaError;
use crate::gate::{Gate, Gatehouse};
use crate::hand_over;
use crate::joins::Joins;
use crate::mux::addresses::{self, MediaListen, Reach};
use crate::mux::passage::Passage;
use crate::mux::{Mux, MuxConfig};
use crate::record::RecordSink;
use crate::room_task::Common;
use crate::rooms::{Crowd, Recorder, Rooms};
use crate::session;
use crate::webhook::Webhooks;

/// How long a stop waits for webhooks to be delivered.
const FLUSH_WITHIN: Duration = Duration::from_secs(3);
/// The same of one after which the server starts anew at once: calls wait for it. What is told of recordings is on disk by then.
const FLUSH_BEFORE_START_WITHIN: Duration = Duration::from_millis(300);

/// How a media server is set up.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// Whose tokens are accepted; the first signs webhooks.
    pub keys: ApiKeys,
    /// Where media is received.
    pub listen: MediaListen,
    /// UDP, and TCP for those whose UDP is blocked; 0 for any free port.
    pub udp_port: u16,
    /// What peers are told instead of the addresses of this machine.
    pub advertise: Vec<IpAddr>,
    /// Names whose addresses they are told as well; looked up again every minute.
    pub advertise_names: Vec<String>,
    /// What peers are offered whose network lets little through.
    pub passage: Passage,
    /// Where webhooks go.
    pub webhook_urls: Vec<Url>,
    /// How many rooms and participants there may be.
    pub crowd: Crowd,
}

/// A handle to a running media server.
#[derive(Clone)]
pub struct MediaServer {
    shared: Arc<Shared>,
}

struct Shared {
    keys: ApiKeys,
    mux: Arc<Mux>,
    rooms: Rooms,
    webhooks: Webhooks,
    joins: Joins,
    gate: Gatehouse,
    agents: Agents,
}

impl MediaServer {
    /// Opens the sockets.
    ///
    /// # Errors
    /// [`MediaError::Listen`].
    pub async fn start(config: MediaConfig) -> Result<Self, MediaError> {
        session::install_crypto();
        let mux = Mux::start(MuxConfig {
            listen: config.listen,
            port: config.udp_port,
            advertise: config.advertise,
            advertise_names: config.advertise_names,
            passage: config.passage,
        })
        .await?;
        let webhooks = Webhooks::new(config.keys.clone(), config.webhook_urls);
        let gate = Gatehouse::default();
        let agents = Agents::new(config.keys.clone());
        let common = Common {
            mux: Arc::clone(&mux),
            webhooks: webhooks.clone(),
            keys: config.keys.clone(),
            gate: gate.clone(),
            agents: agents.clone(),
        };
        let rooms = Rooms::new(common, config.crowd);
        let shared =
            Shared { keys: config.keys, mux, rooms, webhooks, joins: Joins::default(), gate, agents };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The rooms.
    pub fn rooms(&self) -> &Rooms {
        &self.shared.rooms
    }

    /// The delivery of webhooks.
    pub fn webhooks(&self) -> &Webhooks {
        &self.shared.webhooks
    }

    /// The keys whose tokens are accepted.
    pub fn keys(&self) -> &ApiKeys {
        &self.shared.keys
    }

    /// The port of media.
    pub fn udp_port(&self) -> u16 {
        self.shared.mux.port()
    }

    /// Serves a connection of the page's port, from `source` to `local`, to its end: one that [`begins_media`](crate::begins_media), with what is
    /// within TLS where it is. It has a place among the connections of media, or is closed.
    pub async fn take_connection<S>(&self, stream: S, source: SocketAddr, local: SocketAddr)
    where
        S: AsyncRead + AsyncWrite,
    {
        self.shared.mux.take_connection(stream, source, local).await;
    }

    /// Asks `gate` about tickets from now on. There is one at most.
    pub fn guard(&self, gate: Arc<dyn Gate>) {
        self.shared.gate.set(gate);
    }

    pub(crate) fn gate(&self) -> &Gatehouse {
        &self.shared.gate
    }

    pub(crate) fn agents(&self) -> &Agents {
        &self.shared.agents
    }

    /// How many datagrams, connections and data packets were not taken or not passed on, by the reason.
    pub fn dropped(&self) -> Vec<(&'static str, u64)> {
        self.shared.mux.drops().all()
    }

    /// What an operator should look at: addresses at which no media is received though it should be.
    pub fn warnings(&self) -> Vec<String> {
        self.shared.mux.warnings()
    }

    /// From where the media of somebody is taken who signals from `peer`.
    pub(crate) fn reach(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Reach {
        let mux = &self.shared.mux;
        mux.reach(addresses::is_from_this_machine(peer, headers, |ip| mux.is_own(ip)))
    }

    /// How long a join of `who` has to wait for its turn.
    pub(crate) fn join_waits(
        &self,
        from: Option<IpAddr>,
        room: &RoomName,
        who: &str,
    ) -> Result<Duration, TooFast> {
        self.shared.joins.take(from, room, who, Instant::now())
    }

    /// Lets `sink` record a room; the room is shown as being recorded at once.
    ///
    /// # Errors
    /// [`MediaError::NoRoom`].
    pub async fn attach_recorder(
        &self,
        room: &RoomName,
        egress: EgressId,
        sink: Box<dyn RecordSink>,
    ) -> Result<Recorder, MediaError> {
        self.shared.rooms.attach(room, egress, sink).await
    }

    /// Takes up what a former run handed over in `file`, which goes with that: who was removed, which tokens were used, who was in a room and
    /// comes back within this time, and rooms as they were that open again in it or in their own time-outs. To be called before anybody can join. A file that is not there, or is none, is nothing.
    pub async fn take_up(&self, file: &Path, within: Duration) {
        hand_over::take_up(&self.shared.rooms, &self.shared.gate, file, within).await;
    }

    /// Tells everybody that the server starts anew, so that clients come back by themselves, and closes the sockets. What rooms know is in
    /// `file` then, for the next run.
    pub async fn hand_over(self, file: &Path) {
        // Rooms first: what is done until then is in the file, and nothing is done behind it.
        let (rooms, agents) = self.shared.rooms.hand_over(Instant::now()).await;
        hand_over::write(rooms, agents, &self.shared.gate, file).await;
        self.end(FLUSH_BEFORE_START_WITHIN).await;
    }

    /// Tells everybody that the server stops, delivers the last webhooks within a bounded time, and closes the sockets.
    pub async fn shutdown(self) {
        self.shared.rooms.close_all().await;
        self.end(FLUSH_WITHIN).await;
    }

    async fn end(self, flush_within: Duration) {
        self.shared.agents.stop();
        self.shared.webhooks.flush(flush_within).await;
        self.shared.webhooks.leave().await;
        self.shared.webhooks.stop();
        self.shared.mux.stop();
    }
}
