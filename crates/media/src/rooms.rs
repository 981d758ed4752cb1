//! All rooms of the server, and what can be asked of them.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use rand::Rng as _;
use reelroom_agents::{KeptAgents, Opening};
use reelroom_limits::signalling::{HAND_OVER_LASTS, PARTICIPANTS, ROOMS, ROOMS_OF_AN_ADDRESS};
use reelroom_protocol::ids::{EgressId, ParticipantSid, RoomName, RoomSid};
use reelroom_protocol::proto;
use reelroom_protocol::twirp::{TwirpCode, TwirpError};
use reelroom_sfu::{KeptRoom, Now, Refusal, Room, RoomEnd, RoomOptions, RpcCall, RpcError};
use tokio::sync::oneshot;

use crate::calls::Calls;
use crate::error::MediaError;
use crate::record::RecordSink;
use crate::room_options::Wanted;
use crate::room_task::{Arrival, Comeback, Command, Common, Resumed, RoomHandle, RoomTask, now};

/// How often a room may close under a join before that is given up.
const JOIN_ATTEMPTS: usize = 5;

/// A handle to the rooms.
#[derive(Clone)]
pub struct Rooms {
    shared: Arc<Shared>,
}

struct Shared {
    rooms: Mutex<HashMap<RoomName, RoomHandle>>,
    common: Common,
    calls: Calls,
    crowd: Mutex<Crowd>,
    /// No room opens any more.
    is_closing: AtomicBool,
    /// Of a former run. Locked after `rooms`.
    former: Mutex<Former>,
    /// Who records rooms from their beginning on, where somebody does.
    auto_egress: OnceLock<Arc<dyn AutoEgress>>,
}

/// Whoever records a room that is to be recorded from its beginning on.
pub trait AutoEgress: Send + Sync {
    /// Begins to record a room that is open, as a request for it asks.
    fn begin(&self, request: proto::RoomCompositeEgressRequest)
    -> BoxFuture<'static, Result<(), TwirpError>>;
}

/// What is known of rooms of a former run that have not opened again.
#[derive(Default)]
struct Former {
    /// Each with until when it goes on as it was.
    rooms: HashMap<RoomName, (Instant, KeptRoom)>,
    /// How many recordings wait for each room.
    recordings: HashMap<RoomName, u32>,
}

/// How many there may be.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// Rooms of the server.
    pub rooms: u32,
    /// Participants of a room.
    pub participants: u32,
}

impl Default for Crowd {
    fn default() -> Self {
        Self { rooms: ROOMS, participants: PARTICIPANTS }
    }
}

/// Whether a room was open before, also in a former run that it goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opened {
    Before,
    Now,
}

/// A joined participant: what it says goes to `commands`.
pub(crate) struct Joined {
    pub(crate) room: RoomHandle,
}

/// What becomes of whoever comes back.
pub(crate) enum CameBack {
    /// The session goes on.
    Here(Joined),
    /// It goes on, and its client wants this connection to break at once.
    Breaks,
    /// They have to join anew.
    NotThere,
}

impl Rooms {
    pub(crate) fn new(common: Common, crowd: Crowd) -> Self {
        let shared = Shared {
            rooms: Mutex::default(),
            common,
            calls: Calls::default(),
            crowd: Mutex::new(crowd),
            is_closing: AtomicBool::new(false),
            former: Mutex::default(),
            auto_egress: OnceLock::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// So many there may be from now on. Rooms that are open stay open, with as many participants as they could have before.
    pub fn set_crowd(&self, crowd: Crowd) {
        *self.shared.crowd.lock().expect("no code panics while it holds the crowd") = crowd;
    }

    fn crowd(&self) -> Crowd {
        *self.shared.crowd.lock().expect("no code panics while it holds the crowd")
    }

    /// Has rooms that ask for it recorded by this one from now on. There is one at most.
    pub fn record_with(&self, auto_egress: Arc<dyn AutoEgress>) {
        let _ = self.shared.auto_egress.set(auto_egress);
    }

    /// CreateRoom: a room of that name that is open is returned as it is.
    ///
    /// # Errors
    /// [`MediaError::Refused`], also where a new room is not recorded that is to be: it is open then. [`MediaError::Closing`] when the room ends
    /// at this very moment, [`MediaError::TooManyRooms`], [`MediaError::Restarting`].
    pub async fn create(&self, request: &proto::CreateRoomRequest) -> Result<proto::Room, MediaError> {
        let refused = |refusal| match refusal {
            Refusal::Closed => MediaError::Restarting,
            _ => MediaError::TooManyRooms { at_most: self.crowd().rooms },
        };
        let Wanted { options, recorded } = Wanted::of_request(request).map_err(TwirpError::from)?;
        let name = options.name.clone();
        let (handle, opened) = self.open(options, None).map_err(refused)?;
        let room = handle.call(|room, _| room.info()).await?;
        if let (Opened::Now, Some(request)) = (opened, recorded) {
            self.record(&name, request).await?;
        }
        Ok(room)
    }

    /// Records a room that has just been opened.
    async fn record(
        &self,
        name: &RoomName,
        mut request: proto::RoomCompositeEgressRequest,
    ) -> Result<(), TwirpError> {
        let none = || TwirpError::new(TwirpCode::Unavailable, "egress not connected");
        let auto_egress = self.shared.auto_egress.get().ok_or_else(none)?;
        request.room_name = name.to_string();
        auto_egress.begin(request).await
    }

    /// Calls a participant, which answers within a bounded time.
    ///
    /// # Errors
    /// [`MediaError::NoRoom`], [`MediaError::Closing`]; inside: why there is no answer.
    pub async fn perform_rpc(
        &self,
        name: &RoomName,
        call: RpcCall,
    ) -> Result<Result<String, RpcError>, MediaError> {
        let handle = self.lock().get(name).cloned().ok_or_else(|| MediaError::NoRoom(name.clone()))?;
        let (reply, answer) = oneshot::channel();
        let command = Command::PerformRpc { call: Box::new(call), reply };
        handle.commands.send(command).await.map_err(|_| MediaError::Closing)?;
        answer.await.map_err(|_| MediaError::Closing)
    }

    /// ListRooms: all open rooms, or those of the given names.
    pub async fn list(&self, names: &[String]) -> Vec<proto::Room> {
        let handles: Vec<_> = {
            let rooms = self.lock();
            if names.is_empty() {
                rooms.values().cloned().collect()
            } else {
                let names: HashSet<&str> = names.iter().map(String::as_str).collect();
                names.into_iter().filter_map(|name| rooms.get(name).cloned()).collect()
            }
        };
        // Asked all at once: a busy room does not make the others wait.
        let asked = handles.iter().map(|handle| handle.call(|room, _| room.info()));
        futures::future::join_all(asked).await.into_iter().flatten().collect()
    }

    /// How many rooms are calls: somebody publishes in them. Asks no room.
    pub fn calls(&self) -> u64 {
        self.shared.calls.count()
    }

    /// How many rooms are open. Asks no room.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// From now on no room opens: those that are open go on.
    pub fn open_no_more(&self) {
        self.shared.is_closing.store(true, Ordering::Relaxed);
    }

    /// Whether a room is not open, and does not open any more.
    pub(crate) fn is_closing(&self, name: &RoomName) -> bool {
        self.opens_none() && !self.exists(name.as_str())
    }

    fn opens_none(&self) -> bool {
        self.shared.is_closing.load(Ordering::Relaxed)
    }

    /// Closes all rooms, tells everybody to come back, and gives what the next run goes on with. Each room says what it knows and is over in the
    /// same moment: whatever was done in it holds, and nobody is told that something was done which does not. Agents go on in the same way.
    pub(crate) async fn hand_over(&self, now: Instant) -> (Vec<KeptRoom>, Vec<(RoomName, KeptAgents)>) {
        self.open_no_more();
        let open: Vec<_> = self.lock().drain().collect();
        let agents =
            self.shared.common.agents.hand_over(open.iter().map(|(name, handle)| (name, &handle.sid)));
        let handles: Vec<_> = open.into_iter().map(|(_, handle)| handle).collect();
        let ending = |room: &mut Room, now| {
            let kept = room.kept();
            room.close(RoomEnd::HandOver, now);
            kept
        };
        let asked = handles.iter().map(|handle| handle.call(ending));
        let kept: Vec<_> = futures::future::join_all(asked).await.into_iter().flatten().collect();
        for handle in handles {
            handle.commands.closed().await;
        }
        let mut expected = self.shared.common.gate.still_expected(now);
        // Those of the former run that have not opened yet.
        let former = std::mem::take(&mut self.former().rooms).into_values();
        let former = former.filter(|(until, _)| *until > now).map(|(_, kept)| kept);
        let all = kept.into_iter().chain(former);
        let expecting = all.map(|mut kept| {
            kept.expects(expected.remove(kept.name()).unwrap_or_default());
            kept
        });
        (expecting.collect(), agents)
    }

    /// Rooms of a former run go on as they were when they open again: within this time, or for as long as they would be open with nobody in
    /// them.
    pub(crate) fn go_on(
        &self,
        kept: Vec<KeptRoom>,
        agents: Vec<(RoomName, KeptAgents)>,
        within: Duration,
        now: Instant,
    ) {
        self.shared.common.agents.go_on(agents);
        let until = |kept: &KeptRoom| now + within.max(kept.lasts()).min(HAND_OVER_LASTS);
        self.former().rooms =
            kept.into_iter().map(|kept| (kept.name().clone(), (until(&kept), kept))).collect();
    }

    /// Those of them that have not opened open as new ones from now on.
    pub(crate) fn go_on_no_more(&self) {
        self.former().rooms = HashMap::new();
        self.shared.common.agents.go_on(Vec::new());
    }

    /// A recording of a former run waits for a room: once it opens it is shown as being recorded from the first moment on.
    pub fn expect_recorder(&self, name: &RoomName) {
        *self.former().recordings.entry(name.clone()).or_default() += 1;
    }

    /// A recording waits no longer.
    pub async fn expect_recorder_no_more(&self, name: &RoomName) {
        let is_last = {
            let mut former = self.former();
            let Some(waiting) = former.recordings.get_mut(name) else { return };
            *waiting = waiting.saturating_sub(1);
            let is_last = *waiting == 0;
            if is_last {
                former.recordings.remove(name);
            }
            is_last
        };
        if is_last {
            // A room that is not open is shown to nobody.
            let _ = self.with(name, |room, _| room.expect_recorder(false)).await;
        }
    }

    fn former(&self) -> std::sync::MutexGuard<'_, Former> {
        self.shared.former.lock().expect("no code panics while it holds what is known of a former run")
    }

    /// Whether a room is open.
    pub fn exists(&self, name: &str) -> bool {
        self.lock().contains_key(name)
    }

    /// DeleteRoom: everybody is told to leave. When this returns the room is not listed any more.
    ///
    /// # Errors
    /// [`MediaError::NoRoom`].
    pub async fn delete(&self, name: &RoomName) -> Result<(), MediaError> {
        let handle = self.lock().remove(name);
        // Also of one that has not opened again: that life of it is over.
        self.shared.common.gate.expect_nobody_in(name);
        self.former().rooms.remove(name);
        self.shared.common.agents.take_former(name);
        let handle = handle.ok_or_else(|| MediaError::NoRoom(name.clone()))?;
        handle.commands.send(Command::Close(RoomEnd::Deleted)).await.map_err(|_| MediaError::Closing)
    }

    /// Which life of a room is open.
    pub(crate) fn sid(&self, name: &RoomName) -> Option<RoomSid> {
        self.lock().get(name).map(|handle| handle.sid.clone())
    }

    /// Does something with the state of an open room.
    ///
    /// # Errors
    /// [`MediaError::NoRoom`], [`MediaError::Closing`].
    pub async fn with<T: Send + 'static>(
        &self,
        name: &RoomName,
        call: impl FnOnce(&mut Room, Now) -> T + Send + 'static,
    ) -> Result<T, MediaError> {
        let handle = self.lock().get(name).cloned().ok_or_else(|| MediaError::NoRoom(name.clone()))?;
        handle.call(call).await
    }

    /// Asks the gate again about everybody in a room, if it is open: who may do nothing there any more is removed when this returns, and
    /// where consent is asked for from now on nobody is recorded who has not given it.
    pub async fn recheck(&self, name: &RoomName) {
        let (gate, room) = (self.shared.common.gate.clone(), name.clone());
        let look = move |state: &mut Room, now| {
            if gate.asks_consent(&room) {
                state.ask_consent(now);
            }
            state.recheck(|ticket| gate.standing(ticket, &room), now)
        };
        // A room that is not open has nobody in it.
        if let Ok(removed @ 1..) = self.with(name, look).await {
            tracing::info!(room = %name, removed, "who may not be there any more was removed");
        }
    }

    /// Records a room whose first participant does not wait for it.
    fn record_behind(&self, name: &RoomName, request: proto::RoomCompositeEgressRequest) {
        let (rooms, name) = (self.clone(), name.clone());
        tokio::spawn(async move {
            if let Err(error) = rooms.record(&name, request).await {
                tracing::warn!(room = %name, %error, "a room is not recorded though a token asks for it");
            }
        });
    }

    /// Joins from an address, creating the room where it is not open, and recording it then where that is asked for.
    pub(crate) async fn join(
        &self,
        options: RoomOptions,
        arrival: Arrival,
        from: Option<IpAddr>,
        mut recorded: Option<proto::RoomCompositeEgressRequest>,
    ) -> Result<Joined, Refusal> {
        for _ in 0..JOIN_ATTEMPTS {
            let (handle, opened) = self.open(options.clone(), from)?;
            if opened == Opened::Now
                && let Some(request) = recorded.take()
            {
                self.record_behind(&options.name, request);
            }
            let (reply, answer) = oneshot::channel();
            let join = Command::Join { arrival: Box::new(arrival.clone()), reply };
            if handle.commands.send(join).await.is_ok() {
                match answer.await {
                    Ok(Ok(())) => return Ok(Joined { room: handle }),
                    Ok(Err(
                        refusal @ (Refusal::Full
                        | Refusal::Reserved
                        | Refusal::Used
                        | Refusal::Over
                        | Refusal::TooManyRooms
                        | Refusal::ManyRoomsOfAddress),
                    )) => {
                        return Err(refusal);
                    }
                    // The room closed at this very moment: the next attempt opens a new one.
                    Ok(Err(Refusal::Closed)) | Err(_) => {}
                }
            }
            self.forget(&options.name, &handle.sid);
        }
        Err(Refusal::Closed)
    }

    /// Somebody comes back who may still be in a room.
    pub(crate) async fn resume(&self, name: &RoomName, comeback: Comeback) -> CameBack {
        let Some(handle) = self.lock().get(name).cloned() else { return CameBack::NotThere };
        let (reply, answer) = oneshot::channel();
        let resume = Command::Resume { comeback: Box::new(comeback), reply };
        if handle.commands.send(resume).await.is_err() {
            return CameBack::NotThere;
        }
        match answer.await {
            Ok(Resumed::GoesOn) => CameBack::Here(Joined { room: handle }),
            Ok(Resumed::Breaks) => CameBack::Breaks,
            Ok(Resumed::NotThere) | Err(_) => CameBack::NotThere,
        }
    }

    /// Lets `sink` record a room. The room shows `activeRecording` from now on.
    pub(crate) async fn attach(
        &self,
        name: &RoomName,
        egress: EgressId,
        sink: Box<dyn RecordSink>,
    ) -> Result<Recorder, MediaError> {
        let handle = self.lock().get(name).cloned().ok_or_else(|| MediaError::NoRoom(name.clone()))?;
        let sid = ParticipantSid::generate(&mut rand::rng());
        let (reply, answer) = oneshot::channel();
        let attach = Command::Attach { sid: sid.clone(), egress, sink, reply };
        handle.commands.send(attach).await.map_err(|_| MediaError::NoRoom(name.clone()))?;
        if !answer.await.unwrap_or(false) {
            return Err(MediaError::NoRoom(name.clone()));
        }
        Ok(Recorder { handle, sid })
    }

    pub(crate) async fn close_all(&self) {
        self.open_no_more();
        let handles: Vec<_> = self.lock().drain().map(|(_, handle)| handle).collect();
        for handle in &handles {
            let _ = handle.commands.send(Command::Close(RoomEnd::Shutdown)).await;
        }
        for handle in handles {
            handle.commands.closed().await;
        }
    }

    /// Whoever may create rooms comes from nowhere in particular. [`Refusal::Closed`] where none opens any more.
    fn open(&self, mut options: RoomOptions, from: Option<IpAddr>) -> Result<(RoomHandle, Opened), Refusal> {
        let mut rooms = self.lock();
        if let Some(handle) = rooms.get(&options.name) {
            return Ok((handle.clone(), Opened::Before));
        }
        if self.opens_none() {
            return Err(Refusal::Closed);
        }
        let Crowd { rooms: at_most, participants } = self.crowd();
        if rooms.len() >= at_most as usize {
            return Err(Refusal::TooManyRooms);
        }
        let is_of_address = |handle: &&RoomHandle| from.is_some() && handle.opened_from == from;
        let free = at_most as usize - rooms.len();
        if rooms.values().filter(is_of_address).count() >= ROOMS_OF_AN_ADDRESS.min(free) {
            return Err(Refusal::ManyRoomsOfAddress);
        }
        let (kept, is_recorded) = {
            let mut former = self.former();
            let kept = former.rooms.remove(&options.name).filter(|(until, _)| *until > Instant::now());
            (kept.map(|(_, kept)| kept), former.recordings.contains_key(&options.name))
        };
        // What is recorded of a room that goes on goes on itself.
        let opened = if kept.is_some() || is_recorded { Opened::Before } else { Opened::Now };
        if let Some(kept) = &kept {
            options = kept.reopens(options);
        }
        // Of a room that opens as a new one nothing goes on.
        let kept_agents = self.shared.common.agents.take_former(&options.name).filter(|_| kept.is_some());
        let opening =
            Opening { name: options.name.clone(), asked: options.agents.clone(), kept: kept_agents };
        options.participants_at_most = participants;
        let mut rng = rand::rng();
        options.sid = RoomSid::generate(&mut rng);
        options.seed = rng.random();
        let (name, sid) = (options.name.clone(), options.sid.clone());
        tracing::info!(room = %name, %sid, "room opened");
        let (this, ended_name, ended_sid) = (self.clone(), name.clone(), sid.clone());
        let mut room = Room::new(options, now());
        if let Some(kept) = kept {
            room.go_on(kept);
        }
        room.expect_recorder(is_recorded);
        let handle = RoomTask::spawn(
            room,
            sid,
            from,
            self.shared.common.clone(),
            self.shared.calls.room(),
            opening,
            move || {
                tracing::info!(room = %ended_name, sid = %ended_sid, "room closed");
                this.forget(&ended_name, &ended_sid);
                // One that ends with this run goes on in the next.
                if !this.opens_none() {
                    this.shared.common.gate.expect_nobody_in(&ended_name);
                }
            },
        );
        rooms.insert(name, handle.clone());
        Ok((handle, opened))
    }

    fn forget(&self, name: &RoomName, sid: &RoomSid) {
        let mut rooms = self.lock();
        if rooms.get(name).is_some_and(|handle| handle.sid == *sid) {
            rooms.remove(name);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RoomName, RoomHandle>> {
        self.shared.rooms.lock().expect("no code panics while it holds the rooms")
    }
}

impl RoomHandle {
    async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Room, Now) -> T + Send + 'static,
    ) -> Result<T, MediaError> {
        let (reply, answer) = oneshot::channel();
        let call = Command::Call(Box::new(move |room, now| {
            let _ = reply.send(call(room, now));
        }));
        self.commands.send(call).await.map_err(|_| MediaError::Closing)?;
        answer.await.map_err(|_| MediaError::Closing)
    }
}

/// A recorder in a room.
pub struct Recorder {
    handle: RoomHandle,
    sid: ParticipantSid,
}

impl Recorder {
    /// The room's state, while it is open.
    pub async fn room(&self) -> Option<proto::Room> {
        self.handle.call(|room, _| room.info()).await.ok()
    }

    /// Hands nothing over any more, and stays in the room: it is shown as being recorded until [`Recorder::detach`]. When this returns
    /// the sink has had its last call.
    pub async fn release(&self) {
        let (reply, answer) = oneshot::channel();
        if self.handle.commands.send(Command::Release { sid: self.sid.clone(), reply }).await.is_ok() {
            let _ = answer.await;
        }
    }

    /// Leaves the room. When this returns everybody is being told, and the sink has had its last call.
    pub async fn detach(self) {
        let (reply, answer) = oneshot::channel();
        if self.handle.commands.send(Command::Detach { sid: self.sid, reply }).await.is_ok() {
            let _ = answer.await;
        }
    }
}
