//! Which rooms are open, and who is in, by LiveKit's API.

use futures::StreamExt as _;
use futures::stream;
use reelroom_limits::audit::{OVERVIEW_ASKED_AT_ONCE, OVERVIEW_PEOPLE, OVERVIEW_ROOMS};
use reelroom_protocol::proto::{ParticipantInfo, Room, TrackSource, participant_info};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::WebApp;
use crate::livekit::LiveKitError;

/// Which rooms are open.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenRooms {
    pub(super) rooms: Vec<OpenRoomBody>,
    pub(super) count: usize,
    pub(super) trouble: Option<String>,
}

/// A room that is open.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OpenRoomBody {
    name: String,
    /// Of this time that it is open.
    id: String,
    /// Milliseconds since 1970.
    opened_at: i64,
    /// When its owner made it: milliseconds since 1970; absent where nobody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    made_at: Option<i64>,
    /// How many people are in it; recorders do not count.
    count: usize,
    /// Who came first in front, a hundred at most.
    people: Vec<SomebodyBody>,
    /// Why it is not known who is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    people_trouble: Option<String>,
}

/// Somebody in a room.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SomebodyBody {
    identity: String,
    /// What the others see.
    name: String,
    /// Milliseconds since 1970.
    joined_at: i64,
    /// As whom they got their token: owner, key, host, guest or everybody. Absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    /// Whether the others see or hear something of them.
    is_publishing: bool,
    /// What is not muted of camera, microphone, screen, screenSound and other.
    publishes: Vec<&'static str>,
    /// person, agent, phone or other.
    kind: &'static str,
}

impl OpenRooms {
    /// It is not known which are open.
    pub(super) fn unknown(trouble: impl Into<String>) -> Self {
        Self { trouble: Some(trouble.into()), ..Self::default() }
    }
}

/// Asks which rooms are open, and who is in.
pub(super) async fn look(app: WebApp) -> std::sync::Arc<OpenRooms> {
    let mut open = match app.livekit().open_rooms(Vec::new()).await {
        Ok(open) => open,
        Err(error) => return OpenRooms::unknown(error.to_string()).into(),
    };
    let count = open.len();
    open.sort_by(|one, other| one.name.cmp(&other.name));
    open.truncate(OVERVIEW_ROOMS);
    let asked = open.into_iter().map(|room| {
        let app = app.clone();
        async move {
            let people = app.livekit().participants(&room.name).await;
            OpenRoomBody::of(&app, room, people)
        }
    });
    let rooms: Vec<_> = stream::iter(asked).buffered(OVERVIEW_ASKED_AT_ONCE).collect().await;
    OpenRooms { rooms, count, trouble: None }.into()
}

impl OpenRoomBody {
    fn of(app: &WebApp, room: Room, people: Result<Vec<ParticipantInfo>, LiveKitError>) -> Self {
        let (count, people, people_trouble) = match people {
            Ok(mut people) => {
                people.retain(is_somebody);
                people.sort_by(|one, other| {
                    (joined_ms(one), &one.identity).cmp(&(joined_ms(other), &other.identity))
                });
                let count = people.len();
                people.truncate(OVERVIEW_PEOPLE);
                let body = |person| SomebodyBody::of(app, &room.name, person);
                (count, people.into_iter().map(body).collect(), None)
            }
            Err(error) => {
                let said = usize::try_from(room.num_participants).unwrap_or(usize::MAX);
                (said, Vec::new(), Some(error.to_string()))
            }
        };
        let opened_at = match room.creation_time_ms {
            0 => room.creation_time.saturating_mul(1000),
            at_ms => at_ms,
        };
        let made_at = app.rooms().room(&room.name.as_str().into()).ok().map(|made| made.made_ms);
        Self { name: room.name, id: room.sid, opened_at, made_at, count, people, people_trouble }
    }
}

impl SomebodyBody {
    fn of(app: &WebApp, room: &str, person: ParticipantInfo) -> Self {
        use participant_info::Kind as K;
        let kind = match person.kind() {
            K::Standard => "person",
            K::Agent => "agent",
            K::Sip => "phone",
            _ => "other",
        };
        let mut publishes: Vec<_> =
            person.tracks.iter().filter(|track| !track.muted).map(|track| source(track.source())).collect();
        publishes.sort_unstable();
        publishes.dedup();
        Self {
            joined_at: joined_ms(&person),
            role: app.roles().of(room, &person.identity).map(|role| role.word()),
            is_publishing: !publishes.is_empty(),
            publishes,
            kind,
            identity: person.identity,
            name: person.name,
        }
    }
}

/// Whether it is nobody who only records, or is not to be seen.
fn is_somebody(person: &ParticipantInfo) -> bool {
    let is_hidden = person.permission.as_ref().is_some_and(|may| may.hidden || may.recorder);
    !is_hidden && person.kind() != participant_info::Kind::Egress
}

fn joined_ms(person: &ParticipantInfo) -> i64 {
    match person.joined_at_ms {
        0 => person.joined_at.saturating_mul(1000),
        at_ms => at_ms,
    }
}

fn source(source: TrackSource) -> &'static str {
    match source {
        TrackSource::Camera => "camera",
        TrackSource::Microphone => "microphone",
        TrackSource::ScreenShare => "screen",
        TrackSource::ScreenShareAudio => "screenSound",
        TrackSource::Unknown => "other",
    }
}

#[cfg(test)]
mod tests {
    use reelroom_protocol::proto::{ParticipantPermission, TrackInfo};

    use super::*;
    use crate::config::Access;
    use crate::tests::house::owned;

    fn person(identity: &str, joined_at_ms: i64) -> ParticipantInfo {
        ParticipantInfo { identity: identity.into(), joined_at_ms, ..ParticipantInfo::default() }
    }

    fn track(source: TrackSource, muted: bool) -> TrackInfo {
        TrackInfo { source: source as i32, muted, ..TrackInfo::default() }
    }

    #[tokio::test]
    async fn who_is_in_is_told_in_the_order_of_their_coming_and_recorders_are_nobody() {
        let house = owned(Access::Invite).await;
        let now = std::time::Instant::now();
        house.app.roles().note("own", "Ada", reelroom_audit::WhoKind::Host, now);
        let recorder = ParticipantInfo {
            permission: Some(ParticipantPermission { recorder: true, ..ParticipantPermission::default() }),
            ..person("EG_1", 1)
        };
        let ada = ParticipantInfo {
            tracks: vec![track(TrackSource::Camera, true), track(TrackSource::Microphone, false)],
            ..person("Ada", 20)
        };
        let agent = ParticipantInfo { kind: participant_info::Kind::Agent as i32, ..person("bot", 30) };
        let seconds = ParticipantInfo { joined_at: 1, ..person("old server", 0) };
        let open = Room { name: "own".into(), creation_time: 5, ..Room::default() };
        let told = OpenRoomBody::of(&house.app, open.clone(), Ok(vec![agent, recorder, ada, seconds]));
        assert_eq!((told.count, told.opened_at, told.made_at), (3, 5000, None));
        let names: Vec<_> = told.people.iter().map(|person| person.identity.as_str()).collect();
        assert_eq!(names, ["Ada", "bot", "old server"]);
        let [ada, bot, other] = &told.people[..] else { panic!("{told:?}") };
        assert_eq!(
            (ada.role, ada.is_publishing, &ada.publishes[..]),
            (Some("host"), true, &["microphone"][..])
        );
        assert_eq!((bot.kind, bot.role, bot.is_publishing), ("agent", None, false));
        assert_eq!(other.joined_at, 1000);

        let many = (0..OVERVIEW_PEOPLE as i64 + 5).map(|at| person(&at.to_string(), at)).collect();
        let told = OpenRoomBody::of(&house.app, open.clone(), Ok(many));
        assert_eq!((told.count, told.people.len()), (OVERVIEW_PEOPLE + 5, OVERVIEW_PEOPLE));
        let away = Err(LiveKitError::Busy("it is away".into()));
        let told = OpenRoomBody::of(&house.app, Room { num_participants: 7, ..open }, away);
        assert_eq!((told.count, told.people_trouble.as_deref()), (7, Some("it is away")));
    }
}
