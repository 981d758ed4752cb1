//! `livekit.Egress` over Twirp.

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse as _, Response};
use reelroom_limits as limits;
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::{
    ListEgressRequest, ListEgressResponse, RoomCompositeEgressRequest, StopEgressRequest, UpdateLayoutRequest,
};
use reelroom_protocol::token::Claims;
use reelroom_protocol::twirp::{self, Keyed as _, Request, TwirpCode, TwirpError, respond};
use reelroom_routes::{Doors, Keeper, Needs, Part, Proof, Row};

use crate::egress::Egress;
use crate::reach::Reach;
use crate::request::invalid;
use crate::shared::unix_ns;

/// LiveKit's other methods.
const UNSUPPORTED: [&str; 6] = [
    "StartEgress",
    "StartWebEgress",
    "StartParticipantEgress",
    "StartTrackCompositeEgress",
    "StartTrackEgress",
    "UpdateStream",
];

type Answer = Result<Response, TwirpError>;

impl Egress {
    /// `/twirp/livekit.Egress/…`.
    pub fn routes(&self) -> Part {
        rows().layer(DefaultBodyLimit::max(limits::http::TWIRP_BODY_BYTES)).with_state(self.clone())
    }

    /// The Egress API alone.
    pub fn router(&self) -> Doors {
        self.routes().doors()
    }

    /// Its rows of the table.
    pub fn table() -> Vec<Row> {
        rows().rows().to_vec()
    }
}

/// Every route looks at a token of its own.
impl Keeper for Egress {}

fn rows() -> Part<Egress> {
    const NEEDS: Needs = Needs::Proof(Proof::ApiToken);
    let path = |method: &str| format!("/twirp/livekit.Egress/{method}");
    Part::new("Recordings (`livekit.Egress`)")
        .row([Method::POST], &path("StartRoomCompositeEgress"), NEEDS, start_room_composite)
        .row([Method::POST], &path("ListEgress"), NEEDS, list)
        .row([Method::POST], &path("StopEgress"), NEEDS, stop)
        .row([Method::POST], &path("UpdateLayout"), NEEDS, update_layout)
        .row([Method::POST], &path("{method}"), NEEDS, other)
        .refusing_methods(|method, uri| TwirpError::bad_route(&method, uri.path()).into_response())
}

impl twirp::Keyed for Egress {
    fn keys(&self) -> &ApiKeys {
        self.shared.media.keys()
    }

    fn now_unix_s(&self) -> u64 {
        u64::try_from(unix_ns() / 1_000_000_000).unwrap_or_default()
    }
}

fn authorize(claims: &Claims) -> Result<Reach, TwirpError> {
    claims.video.as_ref().and_then(Reach::of).ok_or_else(TwirpError::denied)
}

async fn start_room_composite(
    State(egress): State<Egress>,
    request: Request<RoomCompositeEgressRequest>,
) -> Answer {
    let reach = authorize(&request.claims)?;
    if request.message.room_name.is_empty() {
        return Err(invalid("room_name"));
    }
    reach.check(&request.message)?;
    // In a task of its own: a caller that hangs up must not leave a recording half begun.
    let starting = {
        let (egress, message) = (egress.clone(), request.message);
        tokio::spawn(async move { egress.start_room_composite(message, &reach).await })
    };
    let info = starting.await.map_err(|_| TwirpError::new(TwirpCode::Internal, "the recorder failed"))??;
    Ok(respond(request.encoding, &info))
}

async fn list(State(egress): State<Egress>, request: Request<ListEgressRequest>) -> Answer {
    let reach = authorize(&request.claims)?;
    let items = egress.list(&request.message, &reach)?;
    Ok(respond(request.encoding, &ListEgressResponse { items, ..ListEgressResponse::default() }))
}

async fn stop(State(egress): State<Egress>, request: Request<StopEgressRequest>) -> Answer {
    let reach = authorize(&request.claims)?;
    Ok(respond(request.encoding, &egress.stop(&request.message.egress_id, &reach)?))
}

async fn update_layout(State(egress): State<Egress>, request: Request<UpdateLayoutRequest>) -> Answer {
    let reach = authorize(&request.claims)?;
    let info = egress.update_layout(&request.message.egress_id, &request.message.layout, &reach)?;
    Ok(respond(request.encoding, &info))
}

async fn other(
    State(egress): State<Egress>,
    headers: HeaderMap,
    Path(method): Path<String>,
    uri: Uri,
) -> TwirpError {
    if !UNSUPPORTED.contains(&method.as_str()) {
        return TwirpError::bad_route(&Method::POST, uri.path());
    }
    let claims = twirp::authenticate(egress.keys(), &headers, egress.now_unix_s());
    if let Err(refusal) = claims.and_then(|claims| authorize(&claims)) {
        return refusal;
    }
    TwirpError::new(
        TwirpCode::Unimplemented,
        format!("{method} is not supported by this recorder; StartRoomCompositeEgress with a file output is"),
    )
}
