//! The streams that go to the peer: by which numbers each begins, and how fast they go.
//!
//! # Invariants
//!
//! - A stream that begins anew has other numbers if anything was sent by the ones before: two packets that are encrypted under one number give the keys away.
//! - Pictures go at once until the peer has reported for the first time, and from then on as str0m's estimate says, whatever streams they are.

use std::collections::BTreeSet;
use std::time::Duration;

use reelroom_protocol::proto::TrackType;
use reelroom_sfu::Layer;
use str0m::Input;
use str0m::bwe::{Bitrate, BweKind};
use str0m::format::PayloadParams;
use str0m::media::Mid;
use str0m::rtp::{Ssrc, StreamTx};

use super::sdp::offered::offered;
use super::{Session, SessionEvent};

/// So many packets of pictures are kept to be sent again ...
const KEPT_PACKETS: usize = 2000;
/// ... for so long.
const KEPT_FOR: Duration = Duration::from_secs(3);
/// No more of what goes out may be sent again than this. On a line that loses a fifth it is a quarter, in bursts more; beyond it nothing asked for is
/// sent again, or whoever asks for everything gets everything twice.
const SENT_AGAIN: f32 = 0.5;

/// No picture waits longer than this for its turn: an estimate may be too low, or nothing smaller is there to be sent. libwebrtc's pacer hurries likewise.
const WAITS_AT_MOST: Duration = Duration::from_millis(250);
/// How often that is looked at.
const LOOKED_AT_EVERY: Duration = Duration::from_millis(50);

/// So often room is looked for without finding any, until what is known of the line is forgotten.
const IN_VAIN: u32 = 3;
/// What is found is found where the estimate is so much higher, in percent.
const FOUND_PERCENT: u64 = 105;

/// What str0m was told to find room for, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Search {
    desired_bps: u64,
    estimate_bps: u64,
    /// The estimate when it was told last, and how often it has been no higher since.
    before_bps: u64,
    in_vain: u32,
}

impl Search {
    /// Whether it is in vain by now; it counts anew then.
    fn is_in_vain(&mut self) -> bool {
        let has_found = self.estimate_bps * 100 > self.before_bps * FOUND_PERCENT;
        self.in_vain = if has_found { 0 } else { self.in_vain + 1 };
        self.before_bps = self.estimate_bps;
        let is_in_vain = self.in_vain >= IN_VAIN;
        if is_in_vain {
            self.in_vain = 0;
        }
        is_in_vain
    }
}

/// What is kept of a section's stream to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    ssrc: Ssrc,
    layer: Option<Layer>,
}

/// By which numbers a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Numbers {
    /// Those of the one before, as far as nothing was sent by them: to encrypt something else under the same ones would give the keys away.
    Unused,
    New,
}

/// How pictures go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pacing {
    /// At once: nothing is known of the line. Its receiver may never report, and must not wait for that.
    None { first: Option<u64> },
    /// As str0m's estimate says.
    Paced,
}

/// Keeps what a stream sends from now on.
fn keep_anew(stream: &mut StreamTx) {
    stream.set_rtx_cache(KEPT_PACKETS, KEPT_FOR, Some(SENT_AGAIN));
}

impl Session {
    /// By sections of the peer's something goes to it, as its offer takes it.
    pub(super) fn sends_by(&mut self, offer: &str) {
        self.pictures.retain(|mid| self.rtc.media(*mid).is_some());
        for one in offered(offer).into_iter().filter(|one| one.receives && one.kind == TrackType::Video) {
            let mid = Mid::from(one.mid.as_str());
            if !self.pictures.contains(&mid) {
                self.pictures.push(mid);
            }
        }
        self.asks_for_lost(offer);
        self.pace();
        self.drain();
    }

    /// What the peer's description says of packets that it loses: whether it asks for sound, and how pictures come again.
    pub(super) fn asks_for_lost(&mut self, sdp: &str) {
        let again = self.rtc.codec_config().params().iter().filter_map(PayloadParams::resend);
        self.reports.resent_as(again.map(|pt| *pt).collect());
        let params = self.rtc.codec_config().params().iter();
        let sound = params.filter(|params| params.spec().codec.is_audio());
        let types = sound.flat_map(|params| [Some(params.pt()), params.red()]).flatten().map(|pt| *pt);
        self.sent_sound.answered(types, sdp);
    }

    /// Has pictures go at once, or as str0m's estimate says, whatever streams they are by now.
    pub(super) fn pace(&mut self) {
        let is_unpaced = self.pacing != Pacing::Paced;
        let mut direct = self.rtc.direct_api();
        let mut fillers = BTreeSet::new();
        for mid in &self.pictures {
            if let Some(stream) = direct.stream_tx_by_mid(*mid, None) {
                stream.set_unpaced(is_unpaced);
                if self.kept.get(mid).is_none_or(|kept| kept.ssrc != stream.ssrc()) {
                    keep_anew(stream);
                    self.kept.insert(*mid, Kept { ssrc: stream.ssrc(), layer: None });
                }
                fillers.extend(stream.rtx().map(|ssrc| *ssrc));
            }
        }
        self.reports.keep_fillers(&fillers);
    }

    /// A packet of this layer is the next one of a section. Where it is another layer than before it begins with a keyframe, and nobody needs what was
    /// before that: what is asked for of it would be in the way of what can be shown.
    pub(super) fn goes_on_with(&mut self, mid: Mid, layer: Layer) {
        let Some(kept) = self.kept.get_mut(&mid) else { return };
        if kept.layer.replace(layer).is_some_and(|before| before != layer)
            && let Some(stream) = self.rtc.direct_api().stream_tx_by_mid(mid, None)
        {
            keep_anew(stream);
        }
    }

    /// Has pictures go at once that have waited for too long.
    pub(super) fn hurry(&mut self) {
        if self.pacing != Pacing::Paced || self.clock < self.next_look {
            return;
        }
        self.next_look = self.clock + LOOKED_AT_EVERY;
        let mut direct = self.rtc.direct_api();
        for mid in &self.pictures {
            if let Some(stream) = direct.stream_tx_by_mid(*mid, None) {
                let since = stream.queue_info().and_then(|queue| queue.first_unsent());
                let waits = since.map_or(Duration::ZERO, |since| self.clock.saturating_duration_since(since));
                stream.set_unpaced(waits > WAITS_AT_MOST);
            }
        }
    }

    /// A section goes on by a stream that has sent nothing, in the place of the one that it has.
    fn begin_stream(&mut self, mid: Mid, numbers: Numbers) {
        if self.rtc.media(mid).is_none() {
            return;
        }
        self.flush();
        let mut direct = self.rtc.direct_api();
        let Some((ssrc, rtx)) = direct.stream_tx_by_mid(mid, None).map(|old| (old.ssrc(), old.rtx())) else {
            return;
        };
        // str0m fills up lines by what is there for packets that are sent again, whether a packet was sent or not.
        let is_filled = rtx.is_some_and(|rtx| self.reports.forget_filler(*rtx));
        let next = if numbers == Numbers::New { direct.new_ssrc() } else { ssrc };
        let next_rtx = match rtx {
            Some(_) if numbers == Numbers::New || is_filled => Some(direct.new_ssrc()),
            rtx => rtx,
        };
        direct.remove_stream_tx(ssrc);
        let stream = direct.declare_stream_tx(next, next_rtx, mid, None);
        if self.pictures.contains(&mid) {
            stream.set_unpaced(self.pacing != Pacing::Paced);
            keep_anew(stream);
            self.kept.insert(mid, Kept { ssrc: next, layer: None });
        }
    }

    /// Another track begins on a section. It is a stream of its own, whose numbers begin anew: in the old one the receiver would take low numbers
    /// for packets that it has had (RFC 3711, 3.3.2). On a section that has not sent anything nothing is to be done.
    pub(crate) fn renew_stream(&mut self, mid: &str) {
        let mid = Mid::from(mid);
        self.begin_stream(mid, Numbers::New);
        self.reports.begins(mid);
        self.drain();
    }

    /// Begins streams anew that have sent nothing and of which much is reported even so. What fills up the line by another number then is told with the
    /// next description.
    pub(super) fn forget_reports(&mut self, heard_bytes: usize) {
        let silent = self.reports.heard(heard_bytes).to_vec();
        if silent.is_empty() {
            return;
        }
        for mid in silent {
            self.begin_stream(mid, Numbers::Unused);
        }
        self.drain();
    }

    /// Has the connection find out whether its line carries so much; said again, whether it does by now.
    ///
    /// str0m looks by itself where a fraction of what it takes the line for is sent, or where it found nothing new for 15 s. Between those two, with
    /// 65 % or more of a low estimate sent, the estimate rises to 1.5 times of what is sent and stays there: less than the next layer costs. After
    /// much was lost it does not look at all as long as too little is sent to tell that no more is: what it knows is forgotten then.
    pub(crate) fn desire(&mut self, bits_per_second: u64) {
        let desired = Bitrate::bps(bits_per_second);
        if std::mem::replace(&mut self.search.desired_bps, bits_per_second) == bits_per_second {
            if self.search.is_in_vain() {
                tracing::debug!(
                    bits_per_second = self.search.estimate_bps,
                    "a line is looked at as if it was new"
                );
                self.rtc.bwe().reset(Bitrate::bps(self.search.estimate_bps));
            }
            // It looks at once where more is desired than a moment ago.
            self.rtc.bwe().set_bitrate(Bitrate::ZERO, desired * 0.9);
            if let Err(error) = self.rtc.handle_input(Input::Timeout(self.clock)) {
                tracing::debug!(%error, "a timer ended its session");
                self.rtc.disconnect();
            }
            self.drain();
        }
        self.rtc.bwe().set_bitrate(Bitrate::ZERO, desired);
        self.drain();
    }

    /// What str0m estimates of the line to the peer.
    pub(super) fn estimate(&mut self, kind: BweKind) -> Option<SessionEvent> {
        match kind {
            BweKind::Twcc { estimate, can_probe } => {
                let bits_per_second = estimate.as_u64();
                self.search.estimate_bps = bits_per_second;
                match self.pacing {
                    // What it begins with is said before anything is known.
                    Pacing::None { first: None } => {
                        self.pacing = Pacing::None { first: Some(bits_per_second) };
                        return None;
                    }
                    Pacing::None { first } if first == Some(bits_per_second) => return None,
                    Pacing::None { .. } => {
                        self.pacing = Pacing::Paced;
                        self.pace();
                    }
                    Pacing::Paced => {}
                }
                Some(SessionEvent::Estimate { bits_per_second, can_probe })
            }
            // Of a receiver that reports what arrives its own estimate is not needed.
            BweKind::Remb { .. } if self.pacing == Pacing::Paced => None,
            BweKind::Remb { estimate, .. } => {
                Some(SessionEvent::Estimate { bits_per_second: estimate.as_u64(), can_probe: false })
            }
            _ => None,
        }
    }
}
