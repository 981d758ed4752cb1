//! Services of LiveKit's that this server does not have: their methods are refused as such. Whoever looks for one in vain learns that it is not
//! offered, and not that they have misspelt it.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::IntoResponse as _;
use reelroom_protocol::twirp::{self, Keyed as _, TwirpError};
use reelroom_routes::{Needs, Part, Proof};

use crate::server::MediaServer;

/// Each service with its methods.
const SERVICES: [(&str, &[&str]); 6] = [
    ("Ingress", &["CreateIngress", "UpdateIngress", "ListIngress", "DeleteIngress"]),
    (
        "SIP",
        &[
            "CreateSIPTrunk",
            "ListSIPTrunk",
            "CreateSIPInboundTrunk",
            "CreateSIPOutboundTrunk",
            "UpdateSIPInboundTrunk",
            "UpdateSIPOutboundTrunk",
            "GetSIPInboundTrunk",
            "GetSIPOutboundTrunk",
            "ListSIPInboundTrunk",
            "ListSIPOutboundTrunk",
            "DeleteSIPTrunk",
            "CreateSIPDispatchRule",
            "UpdateSIPDispatchRule",
            "ListSIPDispatchRule",
            "DeleteSIPDispatchRule",
            "CreateSIPParticipant",
            "TransferSIPParticipant",
        ],
    ),
    (
        "PhoneNumberService",
        &[
            "SearchPhoneNumbers",
            "PurchasePhoneNumber",
            "ListPhoneNumbers",
            "GetPhoneNumber",
            "UpdatePhoneNumber",
            "ReleasePhoneNumbers",
        ],
    ),
    (
        "Connector",
        &[
            "DialWhatsAppCall",
            "DisconnectWhatsAppCall",
            "ConnectWhatsAppCall",
            "AcceptWhatsAppCall",
            "ConnectTwilioCall",
        ],
    ),
    (
        "AgentSimulation",
        &[
            "CreateSimulationRun",
            "ConfirmSimulationSourceUpload",
            "GetSimulationRun",
            "ListSimulationRuns",
            "CountSimulationRuns",
            "CancelSimulationRun",
            "CreateScenarioFromSession",
        ],
    ),
    (
        "CloudAgent",
        &[
            "CreateAgent",
            "CreateAgentV2",
            "PromoteAgent",
            "ListAgents",
            "ListAgentVersions",
            "ListAgentSecrets",
            "UpdateAgent",
            "RestartAgent",
            "DeployAgent",
            "DeployAgentV2",
            "UpdateAgentSecrets",
            "RollbackAgent",
            "DeleteAgent",
            "GetClientSettings",
            "CreatePrivateLink",
            "DestroyPrivateLink",
            "ListPrivateLinks",
            "GetPrivateLinkStatus",
        ],
    ),
];

pub(crate) fn rows() -> Part<MediaServer> {
    const NEEDS: Needs = Needs::Proof(Proof::ApiToken);
    let part = Part::new("Services of LiveKit's that are not offered");
    let all = SERVICES.into_iter().fold(part, |part, (service, _)| {
        part.row([Method::POST], &format!("/twirp/livekit.{service}/{{method}}"), NEEDS, refuse)
    });
    all.refusing_methods(|method, uri| TwirpError::bad_route(&method, uri.path()).into_response())
}

/// Whoever has no token, or a participant's, is told that alone.
async fn refuse(
    State(server): State<MediaServer>,
    headers: HeaderMap,
    Path(method): Path<String>,
    uri: Uri,
) -> TwirpError {
    match twirp::authenticate(server.keys(), &headers, server.now_unix_s()) {
        Err(refusal) => return refusal,
        Ok(claims) if claims.video.as_ref().is_some_and(|grants| grants.room_join) => {
            return TwirpError::denied();
        }
        Ok(_) => {}
    }
    let service = uri.path().rsplit('/').nth(1).and_then(|service| service.strip_prefix("livekit."));
    let methods = SERVICES.iter().find(|(known, _)| Some(*known) == service).map(|(_, methods)| *methods);
    if methods.is_some_and(|methods| methods.contains(&method.as_str())) {
        TwirpError::unimplemented(&method)
    } else {
        TwirpError::bad_route(&Method::POST, uri.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_is_a_row_of_any_of_its_methods() {
        let rows = rows();
        let paths: Vec<_> = rows.rows().iter().map(|row| row.path.clone()).collect();
        assert_eq!(paths.len(), SERVICES.len());
        assert!(paths.contains(&"/twirp/livekit.SIP/{method}".to_owned()), "{paths:?}");
        assert!(rows.rows().iter().all(|row| row.needs == Needs::Proof(Proof::ApiToken)));
    }
}
