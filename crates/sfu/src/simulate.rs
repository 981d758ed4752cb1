//! What clients ask for to try themselves (`simulateScenario` of the SDKs): a server that fails, moves them, or lets go of them.
//!
//! Whoever asks is the one to whom it happens; others see no more of it than if it had happened.

use std::time::{Duration, Instant};

use reelroom_protocol::ids::ParticipantSid;
use reelroom_protocol::proto::{
    DisconnectReason, LeaveRequest, SimulateScenario, leave_request, request_response, signal_response,
    simulate_scenario,
};

use crate::room::{Now, Room};

/// How long a participant has to resume after it asked for its signalling to break then, as with LiveKit.
const RESUMES_WITHIN: Duration = Duration::from_secs(5);

/// How the signalling of a participant that resumes breaks once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumeBreaks {
    /// As soon as it has been answered.
    Answered,
    /// Before anything is said.
    Unanswered,
}

/// What a participant tries.
#[derive(Debug, Default)]
pub(crate) struct Simulated {
    resume: Option<(ResumeBreaks, Instant)>,
    bandwidth_bps: Option<u64>,
}

impl Room {
    pub(crate) fn simulate(&mut self, from: &ParticipantSid, request: &SimulateScenario, now: Now) {
        use leave_request::Action;
        use simulate_scenario::Scenario;
        let Some(scenario) = request.scenario else { return };
        let within = now.at + RESUMES_WITHIN;
        match scenario {
            Scenario::SpeakerUpdate(seconds) => self.simulate_speech(from, seconds, now),
            // A server that fails says nothing; what its clients find out by themselves after a while, they are told.
            Scenario::NodeFailure(_) => {
                self.part(from, DisconnectReason::ServerShutdown, Action::Reconnect, now);
            }
            Scenario::LeaveRequestFullReconnect(_) => {
                self.part(from, DisconnectReason::StateMismatch, Action::Reconnect, now);
            }
            Scenario::ServerLeave(_) => {
                self.part(from, DisconnectReason::ServerShutdown, Action::Disconnect, now);
            }
            // It is the same server that it comes back to, and finds it as it was.
            Scenario::Migration(_) => {
                let leave = LeaveRequest {
                    reason: DisconnectReason::Migration.into(),
                    action: Action::Resume.into(),
                    can_reconnect: true,
                    ..Default::default()
                };
                self.signal(from, signal_response::Message::Leave(leave));
            }
            Scenario::SubscriberBandwidth(bps) => {
                if let Some(participant) = self.participants.get_mut(from) {
                    participant.simulated.bandwidth_bps = u64::try_from(bps).ok().filter(|bps| *bps > 0);
                }
                self.reallocate(from, now);
            }
            Scenario::DisconnectSignalOnResume(_) => {
                self.break_resume(from, ResumeBreaks::Answered, within);
            }
            Scenario::DisconnectSignalOnResumeNoMessages(_) => {
                self.break_resume(from, ResumeBreaks::Unanswered, within);
            }
            Scenario::SwitchCandidateProtocol(_) => {
                let text = "which candidate is used decide the checks of ICE; block UDP to try TCP";
                self.respond(from, 0, request_response::Reason::UnsupportedType, text, None);
            }
        }
    }

    fn break_resume(&mut self, sid: &ParticipantSid, how: ResumeBreaks, within: Instant) {
        if let Some(participant) = self.participants.get_mut(sid) {
            participant.simulated.resume = Some((how, within));
        }
    }

    /// How the signalling of a participant that resumes now is to break once more, if it asked for that: once.
    pub fn resume_breaks(&mut self, sid: &ParticipantSid, now: Now) -> Option<ResumeBreaks> {
        let (how, within) = self.participants.get_mut(sid)?.simulated.resume.take()?;
        (now.at <= within).then_some(how)
    }

    /// What a participant's line is to be taken for at most, in bits per second, where it asked for that.
    pub fn simulated_bandwidth_bps(&self, sid: &ParticipantSid) -> Option<u64> {
        self.participants.get(sid)?.simulated.bandwidth_bps
    }
}
