use std::sync::Mutex;
use std::time::Duration;

use reelroom_protocol::proto::EgressStatus;
use serde_json::Value;

use super::super::Telling;
use super::*;

/// A media server.
#[derive(Default)]
struct Server {
    rooms: Mutex<Vec<OpenRoom>>,
    recordings: Vec<EgressInfo>,
    /// Why everything fails.
    away: Mutex<Option<LiveKitError>>,
    /// A room that cannot be told, and why.
    broken: Option<(&'static str, LiveKitError)>,
    questions: Mutex<Vec<usize>>,
    messages: Mutex<Vec<(String, String, Value)>>,
    sets: Mutex<Vec<String>>,
}

impl Server {
    fn with(rooms: &[(&str, &str)]) -> Self {
        let open = |(name, metadata): &(&str, &str)| OpenRoom {
            name: (*name).into(),
            room_id: "RM_1".into(),
            metadata: (*metadata).into(),
            is_recorded: false,
        };
        Self { rooms: Mutex::new(rooms.iter().map(open).collect()), ..Self::default() }
    }

    fn metadata(&self, name: &str) -> Value {
        let rooms = self.rooms.lock().unwrap();
        let room = rooms.iter().find(|room| room.name == name).unwrap();
        serde_json::from_str(&room.metadata).unwrap()
    }

    fn fails(&self) -> Result<(), LiveKitError> {
        self.away.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

impl Rooms for Server {
    async fn open(&self, names: Vec<String>) -> Result<Vec<OpenRoom>, LiveKitError> {
        self.questions.lock().unwrap().push(names.len());
        self.fails()?;
        let rooms = self.rooms.lock().unwrap();
        Ok(rooms.iter().filter(|room| names.contains(&room.name)).cloned().collect())
    }

    async fn recordings(&self, room: &str) -> Result<Vec<EgressInfo>, LiveKitError> {
        Ok(self.recordings.iter().filter(|info| info.room_name == room).cloned().collect())
    }

    async fn set(&self, room: &str, metadata: &str) -> Result<(), LiveKitError> {
        self.fails()?;
        if let Some((broken, error)) = &self.broken
            && *broken == room
        {
            return Err(error.clone());
        }
        self.sets.lock().unwrap().push(room.into());
        let mut rooms = self.rooms.lock().unwrap();
        let room = rooms.iter_mut().find(|known| known.name == room).unwrap();
        room.metadata = metadata.into();
        Ok(())
    }

    async fn send(&self, room: &str, topic: &str, payload: Vec<u8>) -> Result<(), LiveKitError> {
        let payload = serde_json::from_slice(&payload).unwrap();
        self.messages.lock().unwrap().push((room.into(), topic.into(), payload));
        Ok(())
    }
}

fn info(room: &str, id: &str, status: EgressStatus) -> EgressInfo {
    EgressInfo {
        egress_id: id.into(),
        room_name: room.into(),
        room_id: "RM_1".into(),
        status: status as i32,
        ..EgressInfo::default()
    }
}

fn caught_up() -> RoomState {
    let state = RoomState::new(Telling::Own);
    state.change(|board, _| board.catch_up());
    state
}

#[tokio::test]
async fn a_room_is_told_what_holds_by_then_and_keeps_what_an_app_has_set() {
    let (server, state) = (Server::with(&[("a", r#"{"createdBy":"an app"}"#)]), caught_up());
    for status in [EgressStatus::EgressStarting, EgressStatus::EgressActive] {
        state.learn(&info("a", "EG_1", status));
    }
    round(&server, &state).await.unwrap();
    let own = json!({ "id": "EG_1", "status": "recording" });
    let told = json!({ "createdBy": "an app", "recordingStatus": "STARTED", "recording": own });
    assert_eq!(server.metadata("a"), told);
    state.learn(&info("a", "EG_1", EgressStatus::EgressActive));
    round(&server, &state).await.unwrap();
    assert_eq!(server.sets.lock().unwrap().len(), 1, "nobody is told anything twice");
    state.learn(&info("a", "EG_1", EgressStatus::EgressComplete));
    round(&server, &state).await.unwrap();
    assert_eq!(server.metadata("a")["recordingStatus"], "STOPPED");
}

#[tokio::test]
async fn those_in_a_room_are_told_of_deletions_and_rooms_that_are_not_open_cost_one_question() {
    let (server, state) = (Server::with(&[("a", "agenda")]), caught_up());
    state.delete("a", "EG_1".into(), "a-1.mp4".into());
    state.delete("", "EG_2".into(), "of no room.mp4".into());
    for number in 0..50 {
        state.delete(&format!("closed {number}"), "EG_3".into(), "b.mp4".into());
    }
    round(&server, &state).await.unwrap();
    round(&server, &state).await.unwrap();
    let gone = json!({ "recordingName": "a-1.mp4", "id": "EG_1" });
    let told = [("a".to_owned(), "RECORDING_DELETED".to_owned(), gone)];
    assert_eq!(*server.messages.lock().unwrap(), told);
    assert_eq!(*server.questions.lock().unwrap(), [51]);
    assert!(server.sets.lock().unwrap().is_empty(), "text that is no object is left alone");
}

#[tokio::test]
async fn a_server_that_is_away_is_told_what_holds_when_it_is_back() {
    let (server, state) = (Server::with(&[("a", "")]), caught_up());
    *server.away.lock().unwrap() = Some(LiveKitError::Unreachable("nothing answers".into()));
    state.learn(&info("a", "EG_1", EgressStatus::EgressStarting));
    for _ in 0..3 {
        assert!(round(&server, &state).await.is_err());
    }
    for status in [EgressStatus::EgressActive, EgressStatus::EgressEnding, EgressStatus::EgressFailed] {
        state.learn(&info("a", "EG_1", status));
    }
    *server.away.lock().unwrap() = None;
    round(&server, &state).await.unwrap();
    assert_eq!(*server.sets.lock().unwrap(), ["a"]);
    assert_eq!(server.metadata("a")["recordingStatus"], "FAILED");
}

#[tokio::test]
async fn a_room_that_cannot_be_told_costs_no_other() {
    for error in [
        LiveKitError::Failed("it is broken".into()),
        LiveKitError::Busy("its node is gone".into()),
        LiveKitError::Unreachable("it does not answer in time".into()),
    ] {
        let mut server = Server::with(&[("a", ""), ("b", ""), ("c", "")]);
        server.broken = Some(("a", error));
        let state = caught_up();
        for room in ["a", "b", "c"] {
            state.learn(&info(room, room, EgressStatus::EgressActive));
        }
        round(&server, &state).await.unwrap();
        let mut told = server.sets.lock().unwrap().clone();
        told.sort();
        assert_eq!(told, ["b", "c"]);
        // It waits for its turn, and the others do not wait with it.
        for room in ["a", "b"] {
            state.learn(&info(room, room, EgressStatus::EgressComplete));
        }
        round(&server, &state).await.unwrap();
        assert_eq!(*server.questions.lock().unwrap(), [3, 1]);
        assert_eq!(server.metadata("b")["recordingStatus"], "STOPPED");
    }
}

#[tokio::test]
async fn a_room_that_says_what_is_not_so_is_put_right_and_one_whose_recording_is_not_known_yet_is_not() {
    let stale = r#"{"recordingStatus":"STARTED","recording":{"id":"EG_0","status":"recording"}}"#;
    let mut server =
        Server::with(&[("over", stale), ("on", r#"{"recordingStatus":"STARTING"}"#), ("new", "")]);
    server.recordings = vec![info("on", "EG_1", EgressStatus::EgressActive)];
    let state = caught_up();
    for room in ["over", "on", "new"] {
        state.expect(room);
    }
    round(&server, &state).await.unwrap();
    assert_eq!(server.metadata("over"), json!({ "recordingStatus": "STOPPED" }));
    assert_eq!(server.metadata("new"), json!({ "recordingStatus": "STOPPED" }));
    assert_eq!(server.metadata("on")["recordingStatus"], "STARTING");
    round(&server, &state).await.unwrap();
    assert_eq!(server.metadata("on")["recordingStatus"], "STARTED");
    assert_eq!(state.live(), ["EG_1"]);
}

#[tokio::test]
async fn nothing_is_asked_where_nothing_is_to_be_told() {
    let (server, state) = (Server::with(&[("a", "")]), RoomState::new(Telling::Nothing));
    state.change(|board, _| board.catch_up());
    state.learn(&info("a", "EG_1", EgressStatus::EgressActive));
    state.expect("a");
    round(&server, &state).await.unwrap();
    assert!(server.questions.lock().unwrap().is_empty() && state.at_first().is_empty());
    // Before it is known what is recorded nothing is told either.
    let state = RoomState::new(Telling::Own);
    state.learn(&info("a", "EG_1", EgressStatus::EgressActive));
    let waiting = tokio::time::timeout(Duration::from_millis(50), state.until_due()).await;
    assert!(waiting.is_err());
    state.change(|board, _| board.catch_up());
    state.until_due().await;
}

#[tokio::test]
async fn a_recording_that_goes_on_after_a_restart_is_told_in_the_new_session_to_its_end() {
    let said = r#"{"recordingStatus":"STARTED","recording":{"id":"EG_1","status":"recording"}}"#;
    let (server, state) = (Server::with(&[("a", said)]), caught_up());
    {
        let mut rooms = server.rooms.lock().unwrap();
        (rooms[0].room_id, rooms[0].is_recorded) = ("RM_2".into(), true);
    }
    let status = |server: &Server| {
        let metadata = server.metadata("a");
        (metadata["recordingStatus"].clone(), metadata["recording"]["status"].clone())
    };
    state.learn(&info("a", "EG_1", EgressStatus::EgressActive));
    round(&server, &state).await.unwrap();
    assert_eq!(status(&server), (json!("STARTED"), json!("recording")));
    // The server goes on to tell that it is of the session before.
    state.learn(&info("a", "EG_1", EgressStatus::EgressEnding));
    server.rooms.lock().unwrap()[0].is_recorded = false;
    round(&server, &state).await.unwrap();
    assert_eq!(status(&server), (json!("STOPPING"), json!("finishing")));
    state.learn(&info("a", "EG_1", EgressStatus::EgressComplete));
    round(&server, &state).await.unwrap();
    assert_eq!(status(&server), (json!("STOPPED"), json!("complete")));
}

#[tokio::test]
async fn what_is_still_captured_of_a_session_that_is_over_is_not_told_in_the_next_one() {
    let (server, state) = (Server::with(&[("a", "{}")]), caught_up());
    server.rooms.lock().unwrap()[0].room_id = "RM_2".into();
    state.learn(&info("a", "EG_1", EgressStatus::EgressActive));
    round(&server, &state).await.unwrap();
    assert_eq!(server.metadata("a").get("recording"), None);
}
