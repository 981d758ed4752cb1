//! The task of one room: it alone owns the room's state and its peer connections.
//!
//! ```text
//!   commands (signalling, RoomService, recorders) ─┐            ┌─► signalling, webhooks
//!   datagrams ─────────────────────────────────────┼─► Room ────┼─► datagrams
//!   time ──────────────────────────────────────────┘            └─► recorders
//! ```
//!
//! Whatever came in, [`RoomTask::settle`] then follows it to the end: outputs of the room, outputs of the sessions, and
//! what these cause, until nothing is left to do.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reelroom_limits::rooms::TOKEN_LASTS;
use reelroom_limits::signalling::FRESH_TOKEN_BYTES;
use reelroom_protocol::ids::{EgressId, ParticipantSid, RoomName, RoomSid, Ticket};
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::{
    ClientInfo, DisconnectReason, LeaveRequest, SessionDescription, SignalTarget, leave_request,
    participant_info, request_response, signal_request, signal_response,
};
use reelroom_protocol::token::{self, Claims, VideoGrants};
use reelroom_sfu::{
    Bearer, DataKind, Joining, Now, Output, Passed, PublishedPacket, Refusal, ResumeBreaks, Room, RoomEnd,
    RpcCall, RpcError, Sound, Standing, door,
};
use tokio::sync::{mpsc, oneshot};

use crate::agents::{Agents, RoomAgents};
use crate::calls::CountedRoom;
use crate::carriage::Carriage;
use crate::drops::Reason;
use crate::gate::Gatehouse;
use crate::mux::addresses::Reach;
use crate::mux::{Incoming, Mux, Person, SessionId};
use crate::peer::{Answered, Connections, Opening, Peer, Settled, Target, Verdict};
use crate::record::{Detached, NtpTime, RecordSink};
use crate::recorder::RoomRecorder;
use crate::session::{Packet, SessionError, SessionEvent, Way, Written, sdp};
use crate::signal::outbox::{self, Outbox};
use crate::webhook::Webhooks;

/// Datagrams that may wait for a room that is busy.
const INBOX: usize = 4096;
const COMMANDS: usize = 256;
/// So many datagrams are taken at once before outputs are looked at.
const BATCH: usize = 64;
/// For how long a fresh token is good, from when the client was last connected: a laptop that was closed over lunch comes back.
pub(crate) const FRESH_TOKEN_VALID: Duration = Duration::from_secs(60 * 60);

type Call = Box<dyn FnOnce(&mut Room, Now) + Send>;

/// Somebody who wants to join.
#[derive(Clone)]
pub(crate) struct Arrival {
    pub(crate) joining: Joining,
    /// What is said to them goes here.
    pub(crate) outbox: Outbox,
    /// From where their media is taken.
    pub(crate) reach: Reach,
    /// They get every data track without asking.
    pub(crate) auto_subscribe_data: bool,
    /// They can be told that a stream is paused.
    pub(crate) allows_pause: bool,
    /// How their media connects.
    pub(crate) opening: Opening,
}

/// A participant that comes back by another signalling connection.
pub(crate) struct Comeback {
    pub(crate) sid: ParticipantSid,
    /// What its token says: who it is, and no more.
    pub(crate) joining: Joining,
    /// What is said to it goes here from now on.
    pub(crate) outbox: Outbox,
    /// From where its media is taken.
    pub(crate) reach: Reach,
    /// It has to have come that way.
    pub(crate) connections: Connections,
}

/// What becomes of whoever comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resumed {
    /// The session goes on.
    GoesOn,
    /// It goes on, and the client wants to try what it does when its connection breaks at this very moment.
    Breaks,
    /// It has to join anew.
    NotThere,
}

/// What a room's task is asked to do.
pub(crate) enum Command {
    Join {
        arrival: Box<Arrival>,
        reply: oneshot::Sender<Result<(), Refusal>>,
    },
    Resume {
        comeback: Box<Comeback>,
        reply: oneshot::Sender<Resumed>,
    },
    Signal {
        from: ParticipantSid,
        message: Box<signal_request::Message>,
    },
    /// This signalling connection of a participant has ended; it may have another one by now.
    SignalClosed {
        sid: ParticipantSid,
        connection: u64,
    },
    /// The connection of a participant ends for a reason that it is told, and it does not come back by itself.
    Expel {
        sid: ParticipantSid,
        told: Box<signal_response::Message>,
    },
    /// What a participant is told at once, by order of its messages.
    Answer {
        to: ParticipantSid,
        answer: Box<signal_response::Message>,
    },
    /// A participant does not read what it is told by this signalling connection.
    SignalStuck {
        sid: ParticipantSid,
        connection: u64,
    },
    /// Something on the room's state alone.
    Call(Call),
    Attach {
        sid: ParticipantSid,
        egress: EgressId,
        sink: Box<dyn RecordSink>,
        reply: oneshot::Sender<bool>,
    },
    /// Nothing more for a recorder, which stays.
    Release {
        sid: ParticipantSid,
        reply: oneshot::Sender<()>,
    },
    Detach {
        sid: ParticipantSid,
        reply: oneshot::Sender<()>,
    },
    Close(RoomEnd),
    /// A call to a participant, which it answers.
    PerformRpc {
        call: Box<RpcCall>,
        reply: oneshot::Sender<Result<String, RpcError>>,
    },
}

/// A running room.
#[derive(Clone)]
pub(crate) struct RoomHandle {
    pub(crate) sid: RoomSid,
    pub(crate) commands: mpsc::Sender<Command>,
    /// The address from which it was opened, where that can be told from others.
    pub(crate) opened_from: Option<IpAddr>,
}

/// The task's state.
pub(crate) struct RoomTask {
    room: Room,
    peers: BTreeMap<ParticipantSid, Peer>,
    recorders: BTreeMap<ParticipantSid, RoomRecorder>,
    sessions: BTreeMap<SessionId, (ParticipantSid, Target)>,
    /// By which tokens those came who have said nothing yet.
    unheard: BTreeMap<ParticipantSid, (Ticket, u32)>,
    mux: Arc<Mux>,
    webhooks: Webhooks,
    keys: ApiKeys,
    name: RoomName,
    gate: Gatehouse,
    counted: CountedRoom,
    inbox: mpsc::Sender<Incoming>,
    /// Reliable data has come or gone.
    has_data_moved: bool,
    /// Who waits for an answer of a participant, by the call's id.
    rpcs: BTreeMap<String, oneshot::Sender<Result<String, RpcError>>>,
    agents: RoomAgents,
}

/// What a room's task shares with those of other rooms.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) mux: Arc<Mux>,
    pub(crate) webhooks: Webhooks,
    /// The first signs the tokens that clients are given.
    pub(crate) keys: ApiKeys,
    pub(crate) gate: Gatehouse,
    pub(crate) agents: Agents,
}

/// The time now, for the pure parts.
pub(crate) fn now() -> Now {
    let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Now { at: Instant::now(), unix_ms: unix.as_millis() as i64 }
}

impl RoomTask {
    /// Starts the task of `room`, opened from an address, with the agents that are to come; `ended` runs when the room is over.
    pub(crate) fn spawn(
        room: Room,
        sid: RoomSid,
        opened_from: Option<IpAddr>,
        common: Common,
        counted: CountedRoom,
        opening: reelroom_agents::Opening,
        ended: impl FnOnce() + Send + 'static,
    ) -> RoomHandle {
        let (commands, commands_rx) = mpsc::channel(COMMANDS);
        let agents = common.agents.open(&sid, commands.downgrade(), opening);
        let (task, inbox_rx) = Self::new(room, common, counted, agents);
        tokio::spawn(async move {
            task.run(commands_rx, inbox_rx).await;
            ended();
        });
        RoomHandle { sid, commands, opened_from }
    }

    /// The task's state, and what datagrams come by.
    fn new(
        room: Room,
        common: Common,
        counted: CountedRoom,
        agents: RoomAgents,
    ) -> (Self, mpsc::Receiver<Incoming>) {
        let (inbox, inbox_rx) = mpsc::channel(INBOX);
        let task = Self {
            name: room.name(),
            room,
            peers: BTreeMap::new(),
            recorders: BTreeMap::new(),
            sessions: BTreeMap::new(),
            unheard: BTreeMap::new(),
            mux: common.mux,
            webhooks: common.webhooks,
            keys: common.keys,
            gate: common.gate,
            counted,
            inbox,
            has_data_moved: false,
            rpcs: BTreeMap::new(),
            agents,
        };
        (task, inbox_rx)
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>, mut inbox: mpsc::Receiver<Incoming>) {
        self.settle(now());
        while self.room.end().is_none() {
            let deadline = self.next_timeout();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.command(command, now()),
                    None => self.room.close(RoomEnd::Shutdown, now()),
                },
                Some(datagram) = inbox.recv() => {
                    self.receive(&datagram);
                    for _ in 1..BATCH {
                        match inbox.try_recv() {
                            Ok(datagram) => self.receive(&datagram),
                            Err(_) => break,
                        }
                    }
                }
                () = tokio::time::sleep_until(deadline.into()) => {}
            }
            self.step(now());
        }
        let why = match self.room.end() {
            Some(RoomEnd::Shutdown | RoomEnd::HandOver) => Detached::ServerShutdown,
            _ => Detached::RoomClosed,
        };
        for recorder in std::mem::take(&mut self.recorders).into_values() {
            recorder.detach(Instant::now(), why);
        }
    }

    /// Does what is due, and follows what came in.
    fn step(&mut self, now: Now) {
        self.timeouts(now);
        self.settle(now);
    }

    fn next_timeout(&self) -> Instant {
        let peers = self.peers.values().map(Peer::next_timeout);
        peers.fold(self.room.poll_timeout(), Instant::min)
    }

    fn receive(&mut self, datagram: &Incoming) {
        let Some((sid, target)) = self.sessions.get(&datagram.session) else { return };
        let Some(peer) = self.peers.get_mut(sid) else { return };
        let line = peer.line_mut(*target);
        let heard = line.session.receive(datagram);
        line.dirty = true;
        if heard.dropped.is_none() && !datagram.is_trial {
            peer.presence.hears(datagram.received);
        }
        if let Some(reason) = heard.dropped {
            self.mux.drops().count(reason);
        }
        if let Some(ssrc) = heard.new_ssrc {
            self.mux.sends(datagram.session, ssrc);
        }
        if heard.is_proven && datagram.is_trial {
            self.mux.proven(datagram.session, (datagram.transport, datagram.source));
        }
    }

    fn timeouts(&mut self, now: Now) {
        if now.at >= self.room.poll_timeout() {
            self.room.handle_timeout(now);
            let recorders = &self.recorders;
            self.room.ask_for_recorders(now, |recorder, track| {
                recorders.get(recorder).is_some_and(|recorder| recorder.wants_keyframe(track))
            });
            for receiver in self.room.data_receivers() {
                self.send_data(&receiver, now);
            }
        }
        let mut over = Vec::new();
        for (sid, peer) in &mut self.peers {
            peer.timeouts(now.at);
            if let Some(behind) = peer.behind() {
                tracing::info!(participant = %sid, %behind, "a participant does not read what it is told");
            }
            match peer.verdict(now.at) {
                Verdict::Stays => {}
                Verdict::ComesBack => {
                    tracing::info!(participant = %sid, "the media of a participant is lost: it is called back");
                    peer.say(signal_response::Message::Leave(LeaveRequest {
                        reason: DisconnectReason::ConnectionTimeout.into(),
                        action: leave_request::Action::Resume.into(),
                        can_reconnect: true,
                        ..Default::default()
                    }));
                }
                Verdict::Gone(reason) => over.push((sid.clone(), reason)),
            }
        }
        for (sid, reason) in over {
            tracing::info!(participant = %sid, ?reason, "a participant is gone");
            self.room.leave(&sid, reason, now);
        }
    }

    fn command(&mut self, command: Command, now: Now) {
        match command {
            Command::Join { arrival, reply } => {
                let _ = reply.send(self.join(*arrival, now));
            }
            Command::Resume { comeback, reply } => {
                let _ = reply.send(self.resume(*comeback, now));
            }
            Command::Signal { from, message } => {
                self.hear(&from, now);
                self.signal(&from, *message, now);
            }
            Command::SignalClosed { sid, connection } => {
                if let Some(peer) = self.peers.get_mut(&sid).filter(|peer| peer.signals_by(connection)) {
                    peer.presence.signal_ends(now.at);
                }
            }
            Command::Answer { to, answer } => {
                self.hear(&to, now);
                if let Some(peer) = self.peers.get_mut(&to) {
                    peer.say(*answer);
                }
            }
            Command::Expel { sid, told } => {
                if let Some(peer) = self.peers.get_mut(&sid) {
                    peer.say(*told);
                }
                self.room.leave(&sid, DisconnectReason::ParticipantRemoved, now);
            }
            Command::SignalStuck { sid, connection } => {
                if self.peers.get(&sid).is_some_and(|peer| peer.signals_by(connection)) {
                    self.room.leave(&sid, DisconnectReason::SignalClose, now);
                }
            }
            Command::Call(call) => call(&mut self.room, now),
            Command::Attach { sid, egress, sink, reply } => {
                let _ = reply.send(self.attach(sid, &egress, sink, now));
            }
            Command::Release { sid, reply } => {
                self.release(&sid, now);
                let _ = reply.send(());
            }
            Command::Detach { sid, reply } => {
                self.room.leave(&sid, DisconnectReason::ClientInitiated, now);
                self.release(&sid, now);
                let _ = reply.send(());
            }
            Command::Close(end) => self.room.close(end, now),
            Command::PerformRpc { call, reply } => {
                self.rpcs.insert(call.id.clone(), reply);
                self.room.perform_rpc(*call, now);
            }
        }
    }

    fn release(&mut self, recorder: &ParticipantSid, now: Now) {
        self.room.stop_recording(recorder);
        if let Some(recorder) = self.recorders.remove(recorder) {
            recorder.detach(now.at, Detached::Stopped);
        }
    }

    fn join(&mut self, arrival: Arrival, now: Now) -> Result<(), Refusal> {
        let Arrival { joining, outbox, reach, auto_subscribe_data, allows_pause, opening } = arrival;
        if self.gate.was_removed(&joining, &self.name) {
            return Err(Refusal::Over);
        }
        self.ask_consent(now);
        let most = match self.gate.standing_at_the_door(&joining.ticket, &self.name, now.at) {
            Standing::AsSaid => None,
            Standing::AtMost(grants) => Some(grants),
            Standing::StaysAtMost(grants) if self.room.has_bearer(&joining.ticket) => Some(grants),
            Standing::StaysAtMost(_) | Standing::NotAgain | Standing::Over => return Err(Refusal::Over),
        };
        let (ticket, serial) = (joining.ticket.clone(), joining.serial);
        if self.gate.is_used(&ticket, serial, now.at) {
            return Err(Refusal::Used);
        }
        let sid = joining.sid.clone();
        let subscribes = most
            .as_ref()
            .map_or(joining.grants.may_subscribe(), |most| joining.grants.narrowed_to(most).may_subscribe());
        let identity = joining.identity.clone();
        let mut response = match &most {
            Some(most) => self.room.join_at_most(joining, most, now)?,
            None => self.room.join(joining, now)?,
        };
        self.room.allow_pause(&sid, allows_pause);
        if auto_subscribe_data {
            self.room.subscribe_to_all_data_tracks(&sid, now);
        }
        // What the room said to an older session of this identity has to go before the session is forgotten.
        self.outputs(now);
        tracing::info!(participant = %sid, %identity, "joined");
        let connections = opening.connections();
        let mut peer = Peer::new(&self.mux.addresses(reach), outbox, connections, subscribes, now.at);
        response.ice_servers = self.mux.ice_servers(sid.as_str(), reach);
        peer.welcome(response);
        let number = rand::random();
        for target in peer.targets().iter().copied() {
            let line = peer.line_mut(target);
            let (ufrag, password) = line.session.credentials();
            let id = self.mux.register(Person { ufrag, password, number, reach }, self.inbox.clone());
            line.id = Some(id);
            self.sessions.insert(id, (sid.clone(), target));
        }
        peer.negotiate();
        self.peers.insert(sid.clone(), peer);
        self.agents.joined(&self.room, &sid);
        self.unheard.insert(sid.clone(), (ticket, serial));
        if let Opening::One { tracks, offer } = opening {
            for track in tracks {
                self.room.handle_signal(&sid, signal_request::Message::AddTrack(track), now);
            }
            self.outputs(now);
            if let Some(offer) = offer {
                self.offer(&sid, &offer, now);
            }
        }
        // Who came with a token that is good once hears of the next one before anything can part them.
        self.room.refresh_tokens(now);
        Ok(())
    }

    /// A participant comes back by another signalling connection. Nobody else hears of it.
    fn resume(&mut self, comeback: Comeback, now: Now) -> Resumed {
        let Comeback { sid, joining, outbox, reach, connections } = comeback;
        if self.gate.was_removed(&joining, &self.name) || !self.room.is_session_of(&sid, &joining) {
            return Resumed::NotThere;
        }
        // What was said until now goes by the connection of before, if that still goes anywhere: what follows says how everything stands.
        self.outputs(now);
        match self.gate.standing(&joining.ticket, &self.name) {
            Standing::AsSaid | Standing::NotAgain => {}
            Standing::AtMost(grants) | Standing::StaysAtMost(grants) => self.room.narrow(&sid, &grants, now),
            Standing::Over => return Resumed::NotThere,
        }
        let Some(peer) = self.peers.get_mut(&sid).filter(|peer| peer.connections() == connections) else {
            return Resumed::NotThere;
        };
        let breaks = self.room.resume_breaks(&sid, now);
        if breaks == Some(ResumeBreaks::Unanswered) {
            return Resumed::Breaks;
        }
        // It is reached anew, and this machine's addresses may be others by now.
        let addresses = self.mux.addresses(reach);
        for target in peer.targets().iter().copied() {
            peer.line_mut(target).session.moves_to(&addresses);
        }
        let mut messages = self.room.resume(&sid, peer.presence.said(), now);
        if let Some(signal_response::Message::Reconnect(reconnect)) = messages.first_mut() {
            reconnect.ice_servers = self.mux.ice_servers(sid.as_str(), reach);
        }
        peer.resume(outbox, messages, now.at);
        if breaks == Some(ResumeBreaks::Answered) {
            peer.hang_up(now.at);
        }
        self.hear(&sid, now);
        tracing::info!(participant = %sid, "came back");
        // Its token may have been refreshed while it did not hear of it.
        self.room.refresh_tokens(now);
        Resumed::GoesOn
    }

    /// Asks for consent, where that is set of the room. Recorders that are there have heard of it when this returns: one that comes then
    /// finds it as it is.
    fn ask_consent(&mut self, now: Now) {
        if self.gate.asks_consent(&self.name) {
            self.room.ask_consent(now);
            self.outputs(now);
        }
    }

    fn attach(
        &mut self,
        sid: ParticipantSid,
        egress: &EgressId,
        sink: Box<dyn RecordSink>,
        now: Now,
    ) -> bool {
        self.ask_consent(now);
        let joining = Joining {
            sid: sid.clone(),
            identity: egress.as_str().into(),
            ticket: Ticket::default(),
            serial: 0,
            issued_unix_s: now.unix_ms as u64 / 1000,
            is_server: true,
            name: String::new(),
            metadata: String::new(),
            attributes: BTreeMap::new(),
            grants: VideoGrants {
                room_join: true,
                can_publish: Some(false),
                can_publish_data: Some(false),
                hidden: true,
                recorder: true,
                ..VideoGrants::default()
            },
            kind: participant_info::Kind::Egress,
            auto_subscribe: false,
            client: ClientInfo::default(),
            kind_details: Vec::new(),
        };
        if self.room.join(joining, now).is_err() {
            return false;
        }
        self.room.connected(&sid, now);
        let recorder = RoomRecorder::attach(&self.room, sink, now);
        self.room.start_recording(&sid, now);
        self.recorders.insert(sid, recorder);
        true
    }

    fn signal(&mut self, from: &ParticipantSid, message: signal_request::Message, now: Now) {
        use signal_request::Message;
        let Some(peer) = self.peers.get_mut(from) else { return };
        match message {
            Message::Offer(offer) => self.offer(from, &offer, now),
            Message::Answer(answer) => match peer.accept_answer(&answer) {
                Ok(settled) => self.negotiated(from, settled, now),
                Err(error) => self.unusable(from, "an answer could not be used", &error, now),
            },
            Message::Trickle(trickle) => {
                let target = match SignalTarget::try_from(trickle.target) {
                    Ok(SignalTarget::Subscriber) => Target::Subscriber,
                    _ => Target::Publisher,
                };
                peer.add_remote_candidate(target, &trickle.candidate_init);
            }
            Message::AddTrack(_) => {
                let sections = peer.sections.clone();
                self.room.handle_signal(from, message, now);
                // The offer may have come before the announcement.
                self.room.sections(from, &sections);
            }
            other => self.room.handle_signal(from, other, now),
        }
    }

    fn offer(&mut self, from: &ParticipantSid, offer: &SessionDescription, now: Now) {
        let Some(peer) = self.peers.get_mut(from) else { return };
        match peer.accept_offer(offer, |section| self.room.publish_codec(from, section)) {
            Ok(Answered { mut description, settled }) => {
                let sections = peer.sections.clone();
                self.room.sections(from, &sections);
                // What the client sends; what it is sent is encoded already.
                let sent = sections.iter().filter(|section| section.sends);
                let sent: BTreeMap<&str, Option<Sound>> = sent
                    .map(|section| (section.mid.as_str(), self.room.publish_sound(from, section)))
                    .collect();
                description.sdp = sdp::with_sound(&description.sdp, |mid| sent.get(mid).copied().flatten());
                for codec in self.room.unfit_codecs(from) {
                    description.sdp =
                        sdp::without_codec(&description.sdp, codec, |mid| sent.contains_key(mid));
                }
                peer.say(signal_response::Message::Answer(description));
                self.negotiated(from, settled, now);
            }
            Err(error) => self.unusable(from, "an offer could not be used", &error, now),
        }
    }

    /// What became of the tracks that go to a participant.
    fn negotiated(&mut self, subscriber: &ParticipantSid, settled: Settled, now: Now) {
        let Some(peer) = self.peers.get(subscriber) else { return };
        for track in settled.ready {
            self.room.down_track_takes(subscriber, &track, peer.takes(&track));
            self.room.down_track_takes_red(subscriber, &track, peer.takes_red(&track));
            self.room.down_track_ready(subscriber, &track, now);
        }
        for track in settled.refused {
            self.room.down_track_refused(subscriber, &track);
        }
    }

    /// Lets go of a participant whose SDP is of no use. One that asked for too much would ask for it again: it is not told to come back.
    fn unusable(&mut self, from: &ParticipantSid, what: &str, error: &SessionError, now: Now) {
        tracing::info!(participant = %from, %error, "{what}");
        let reason = match error {
            SessionError::Unusable(_) => DisconnectReason::StateMismatch,
            SessionError::TooMuch(_) => DisconnectReason::ParticipantRemoved,
        };
        if let Some(peer) = self.peers.get_mut(from) {
            let text = format!("{what}: {error}");
            peer.say(door::response(request_response::Reason::InvalidRequest, &text));
        }
        self.room.leave(from, reason, now);
    }

    /// Follows everything to its end.
    fn settle(&mut self, now: Now) {
        let mut events = Vec::new();
        loop {
            self.outputs(now);
            let mut worked = false;
            for (sid, peer) in &mut self.peers {
                peer.negotiate();
                for target in peer.targets().iter().copied() {
                    let line = peer.line_mut(target);
                    if std::mem::take(&mut line.dirty) {
                        worked = true;
                        let (datagrams, of_session) = line.session.take();
                        self.mux.send(datagrams);
                        events.extend(of_session.into_iter().map(|event| (sid.clone(), target, event)));
                    }
                }
            }
            for (sid, target, event) in events.drain(..) {
                self.event(&sid, target, event, now);
            }
            if !worked {
                break;
            }
        }
        self.tell_windows();
        self.counted.set(self.room.is_call());
    }

    fn outputs(&mut self, now: Now) {
        while let Some(output) = self.room.poll_output() {
            self.output(output, now);
        }
    }

    fn output(&mut self, output: Output, now: Now) {
        match output {
            Output::Signal { to, message } => {
                if let Some(peer) = self.peers.get_mut(&to) {
                    peer.say(*message);
                }
            }
            Output::Broadcast { to, message, about } => {
                let message = outbox::encode(*message);
                for sid in to {
                    if let Some(peer) = self.peers.get_mut(&sid) {
                        peer.pass_on(message.clone(), about.as_ref());
                    }
                }
            }
            Output::Webhook(event) => {
                self.agents.heard(&event);
                self.webhooks.send(*event);
            }
            Output::AddDownTrack(spec) => {
                if let Some(peer) = self.peers.get_mut(&spec.subscriber) {
                    peer.add_down_track(&spec);
                }
            }
            Output::RemoveDownTrack { subscriber, track } => {
                if let Some(peer) = self.peers.get_mut(&subscriber) {
                    peer.remove_down_track(&track);
                }
            }
            Output::SendEmpty { track, subscriber, codec, rewrite } => {
                if let Some(peer) = self.peers.get_mut(&subscriber) {
                    peer.send_empty(&track, codec, rewrite, now.at);
                }
            }
            Output::RequestKeyframe { track, mid, layer } => {
                if let Some((publisher, _)) = self.room.source_of(&track)
                    && let Some(peer) = self.peers.get_mut(&publisher)
                {
                    let line = peer.line_mut(Target::Publisher);
                    line.session.request_keyframe(&mid, layer);
                    line.dirty = true;
                }
            }
            Output::Data { to, bytes } => self.send_lossy(&to, DataKind::Lossy, &bytes, now),
            Output::DataWaits(to) => self.send_data(&to, now),
            Output::DataLost { from, to, packets, bytes, begins } => {
                self.has_data_moved = true;
                self.mux.drops().add(Reason::SlowReceiver, packets as u64);
                if begins {
                    tracing::warn!(?from, %to, packets, bytes, "a receiver of data is too slow and does not get some of it");
                }
            }
            Output::RefreshToken { to, mut bearer } => {
                match self.gate.standing(&bearer.ticket, &self.name) {
                    Standing::AsSaid => {}
                    Standing::AtMost(grants) | Standing::StaysAtMost(grants) => {
                        self.room.narrow(&to, &grants, now);
                        bearer.grants = bearer.grants.narrowed_to(&grants);
                    }
                    Standing::NotAgain => return,
                    Standing::Over => return self.room.leave(&to, DisconnectReason::ParticipantRemoved, now),
                }
                let token = self.fresh_token(*bearer, now);
                if let Some(peer) = self.peers.get_mut(&to) {
                    peer.say(signal_response::Message::RefreshToken(token));
                }
            }
            Output::Disconnect(sid) => {
                self.agents.left(&sid);
                self.forget(&sid);
            }
            Output::Fact(fact) => {
                for recorder in self.recorders.values_mut() {
                    recorder.fact(&fact, now.at);
                }
            }
            Output::DataTrackPacket { to, bytes } => self.send_lossy(&to, DataKind::Track, &bytes, now),
            Output::RpcAnswered { id, answer } => {
                if let Some(reply) = self.rpcs.remove(&id) {
                    let _ = reply.send(answer);
                }
            }
            Output::Desire { subscriber, bits_per_second } => {
                if let Some(peer) = self.peers.get_mut(&subscriber) {
                    let line = peer.line_mut(Target::Subscriber);
                    line.session.desire(bits_per_second);
                    line.dirty = true;
                }
            }
        }
    }

    fn fresh_token(&self, bearer: Bearer, now: Now) -> String {
        let now_unix_s = now.unix_ms as u64 / 1000;
        // One that is counted was given by invitation.
        let valid = if bearer.serial > 0 { TOKEN_LASTS } else { FRESH_TOKEN_VALID };
        let mut claims = Claims {
            sub: bearer.identity.into(),
            name: bearer.name,
            metadata: bearer.metadata,
            attributes: bearer.attributes,
            kind: token::kind_name(bearer.kind).to_owned(),
            video: Some(bearer.grants),
            ticket: bearer.ticket,
            serial: bearer.serial,
            kind_details: token::kind_detail_names(&bearer.kind_details),
            nbf: now_unix_s,
            exp: now_unix_s + valid.as_secs(),
            ..Claims::default()
        };
        let token = token::mint(&self.keys, claims.clone());
        if token.len() <= FRESH_TOKEN_BYTES {
            return token;
        }
        claims.metadata.clear();
        claims.attributes.clear();
        token::mint(&self.keys, claims)
    }

    /// Sends a receiver something that nobody waits for.
    fn send_lossy(&mut self, to: &ParticipantSid, kind: DataKind, bytes: &[u8], now: Now) {
        let Some(peer) = self.peers.get_mut(to) else { return };
        // Clients listen for data on their primary connection: who may not subscribe has no other one.
        let line = peer.line_mut(peer.primary());
        line.dirty = true;
        if line.session.send_data(kind, bytes, now.at) != Written::Yes {
            self.mux.drops().count(Reason::LossyData);
        }
    }

    /// Sends a receiver as much reliable data as its connection takes.
    fn send_data(&mut self, to: &ParticipantSid, now: Now) {
        let Some(peer) = self.peers.get_mut(to) else { return };
        let line = peer.line_mut(peer.primary());
        while let Some(bytes) = self.room.next_data(to) {
            match line.session.send_data(DataKind::Reliable, bytes, now.at) {
                Written::Yes => self.room.data_taken(to),
                Written::TooLong => self.room.data_too_long(to),
                Written::NotNow => break,
            }
            line.dirty = true;
        }
        self.has_data_moved = true;
    }

    /// Tells senders of data how much more they may send.
    fn tell_windows(&mut self) {
        if !std::mem::take(&mut self.has_data_moved) {
            return;
        }
        for (sender, window) in self.room.data_windows() {
            if let Some(peer) = self.peers.get_mut(&sender) {
                peer.line_mut(Target::Publisher).session.set_data_window(window);
            }
        }
    }

    fn forget(&mut self, sid: &ParticipantSid) {
        let Some(mut peer) = self.peers.remove(sid) else { return };
        // Whoever waited for it waits no more.
        self.has_data_moved = true;
        for target in peer.targets().iter().copied() {
            let line = peer.line_mut(target);
            line.session.close();
            let (datagrams, _) = line.session.take();
            self.mux.send(datagrams);
            if let Some(id) = line.id {
                self.sessions.remove(&id);
                self.mux.unregister(id);
            }
        }
        self.unheard.remove(sid);
        tracing::info!(participant = %sid, "left");
    }

    /// Somebody says something, and so has heard that they are in: the token by which they came is used up. Of one whose connection broke
    /// before that nobody has had anything.
    fn hear(&mut self, from: &ParticipantSid, now: Now) {
        if let Some(peer) = self.peers.get_mut(from) {
            peer.presence.says(now.at);
        }
        if let Some((ticket, serial)) = self.unheard.remove(from) {
            self.gate.expect_no_more(&self.name, &ticket);
            self.gate.use_up(ticket, serial, now.at);
        }
    }

    fn event(&mut self, sid: &ParticipantSid, target: Target, event: SessionEvent, now: Now) {
        let Some(peer) = self.peers.get_mut(sid) else { return };
        match event {
            SessionEvent::Connected => {
                peer.presence.media_flows();
                self.room.media_lost(sid, false);
                if target == peer.primary() {
                    peer.presence.connects();
                    self.room.connected(sid, now);
                }
            }
            SessionEvent::Heard => {
                peer.presence.media_flows();
                self.room.media_lost(sid, false);
            }
            SessionEvent::Disconnected | SessionEvent::Closed => {
                peer.presence.media_ends(now.at);
                self.room.media_lost(sid, true);
            }
            SessionEvent::Restarts => peer.presence.media_restarts(now.at),
            SessionEvent::Packet(packet) => self.packet(sid, &packet, now),
            SessionEvent::KeyframeRequest(mid) => {
                if let Some(track) = peer.track_on(&mid) {
                    self.room.keyframe_requested(sid, &track, now);
                }
            }
            SessionEvent::SenderReport { mid, ssrc, ntp, rtp } => {
                self.sender_report(sid, &mid, ssrc, ntp, rtp, now);
            }
            SessionEvent::Data { kind, bytes } => {
                self.room.data(sid, kind, &bytes);
                self.outputs(now);
            }
            SessionEvent::DataWanted => {
                if target == peer.primary() {
                    self.room.data_wanted(sid);
                    self.send_data(sid, now);
                }
            }
            SessionEvent::Estimate { bits_per_second, can_probe } => {
                #[cfg(test)]
                netem::estimated(sid, bits_per_second, now);
                self.room.estimated(sid, bits_per_second, can_probe, now);
            }
            SessionEvent::FlowsOn(address) => {
                if let Some(id) = peer.line_mut(target).id {
                    self.mux.flows(id, address);
                }
            }
            SessionEvent::Measured { mid, way: Way::In, layer, measured } => {
                self.room.measured_on(sid, &mid, layer, measured);
            }
            SessionEvent::Measured { mid, way: Way::Out | Way::Both, layer, measured } => {
                if let Some(track) = peer.track_on(&mid) {
                    self.room.measured(sid, &track, layer, measured);
                }
            }
            SessionEvent::Names(names) => {
                if let Some(id) = peer.line_mut(target).id {
                    self.mux.rename(id, names);
                }
            }
        }
    }

    fn sender_report(
        &mut self,
        sid: &ParticipantSid,
        mid: &str,
        ssrc: u32,
        ntp: NtpTime,
        rtp: u32,
        now: Now,
    ) {
        if let Some(track) = self.room.track_on(sid, mid) {
            for recorder in self.room.recorders_of(&track, ssrc) {
                if let Some(recorder) = self.recorders.get_mut(recorder) {
                    recorder.sender_report(&track, ssrc, ntp, rtp, now.at);
                }
            }
        }
    }

    fn packet(&mut self, from: &ParticipantSid, packet: &Packet, now: Now) {
        let published = PublishedPacket {
            layer: packet.layer,
            codec: packet.codec,
            ssrc: packet.ssrc(),
            seq: packet.seq(),
            rtp: packet.rtp() as u32,
            payload: packet.payload(),
            is_red: packet.is_red,
            descriptor: packet.descriptor(),
            audio_level_dbov: packet.audio_level_dbov,
            arrived: packet.received(),
        };
        while self.pass_on(from, packet, &published, now) == Passed::AfterOutputs {
            // A packet may announce the track or its codec: recorders and subscribers have to know it before they get it.
            self.outputs(now);
        }
    }

    fn pass_on(
        &mut self,
        from: &ParticipantSid,
        packet: &Packet,
        published: &PublishedPacket<'_>,
        now: Now,
    ) -> Passed {
        let (peers, recorders) = (&mut self.peers, &mut self.recorders);
        let mut carriage = Carriage { peers, recorders, packet, block: None, now: now.at };
        self.room.packet(from, &packet.mid, published, now, &mut carriage)
    }
}

#[cfg(test)]
mod netem;
