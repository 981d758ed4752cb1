//! What goes to the peer: media of other sessions under new numbers, and data.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use reelroom_limits::media::MEDIA_BYTES;
use reelroom_sfu::forward::Rewrite;
use reelroom_sfu::{Codec, DataKind};
use str0m::channel::Channel;
use str0m::error::{ProtoError, RtcError, SctpError};
use str0m::media::{Mid, Pt};
use str0m::rtp::{RtpWrite, Vp8Descriptor};

use super::descriptor::DependencyDescriptor;
use super::{LOSSY_BUFFER_BYTES, Packet, RELIABLE_BUFFER_BYTES, Session};

/// What is sent of a packet.
pub(crate) struct Load {
    pub(crate) payload: Arc<[u8]>,
    pub(crate) marker: bool,
    pub(crate) is_red: bool,
    /// It is the packet's own payload, so that what the header says of that goes with it.
    pub(crate) is_own: bool,
}

/// What became of data that was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Yes,
    /// The channel is not open or full, or lossy data would come too late.
    NotNow,
    /// The peer takes nothing of this length, now or later.
    TooLong,
}

pub(super) fn write(channel: &mut Channel<'_>, bytes: &[u8]) -> Written {
    match channel.write(true, bytes) {
        Ok(true) => Written::Yes,
        Err(RtcError::Sctp(SctpError::Proto(ProtoError::ErrOutboundPacketTooLarge))) => Written::TooLong,
        Ok(false) | Err(_) => Written::NotNow,
    }
}

impl Session {
    /// Sends something of a packet of another session under new numbers.
    pub(crate) fn send(
        &mut self,
        mid: &str,
        payload_type: u8,
        packet: &Packet,
        rewrite: Rewrite,
        load: Load,
        now: Instant,
    ) {
        debug_assert!(load.payload.len() <= MEDIA_BYTES, "what comes is no longer");
        if load.payload.len() > MEDIA_BYTES {
            return;
        }
        self.clock = self.clock.max(now);
        let mid = Mid::from(mid);
        self.goes_on_with(mid, packet.layer);
        let mut direct = self.rtc.direct_api();
        let Some(stream) = direct.stream_tx_by_mid(mid, None) else { return };
        self.reports.sent(mid);
        let mut ext_vals = str0m::rtp::ExtensionValues::default();
        if load.is_own {
            ext_vals.audio_level = packet.inner.header.ext_vals.audio_level;
            ext_vals.voice_activity = packet.inner.header.ext_vals.voice_activity;
        }
        ext_vals.video_orientation = packet.inner.header.ext_vals.video_orientation;
        // Simulcast layers count their frames each for itself, so theirs cannot be passed on.
        if packet.codec.is_scalable()
            && let Some(value) = packet.inner.header.ext_vals.user_values.get_arc::<DependencyDescriptor>()
        {
            ext_vals.user_values.set_arc(value);
        }
        let mut write = RtpWrite::new(
            Pt::from(payload_type),
            rewrite.seq.into(),
            rewrite.rtp,
            packet.inner.timestamp,
            load.payload,
        )
        .marker(load.marker)
        .ext_vals(ext_vals)
        .nackable(packet.codec != Codec::Opus);
        if let Some(numbers) = rewrite.vp8
            && let Ok(descriptor) = Vp8Descriptor::parse(&packet.inner.payload)
        {
            let mut patch = descriptor.patch();
            if let Some(picture_id) = numbers.picture_id {
                patch = patch.picture_id(picture_id);
            }
            if let Some(tl0_pic_idx) = numbers.tl0_pic_idx {
                patch = patch.tl0_pic_idx(tl0_pic_idx);
            }
            if let Ok(patch) = patch.build() {
                write = write.vp8_patch(patch);
            }
        }
        stream.write_rtp(write);
        self.is_written = true;
    }

    /// Sends a packet without content.
    pub(crate) fn send_empty(&mut self, mid: &str, payload_type: u8, rewrite: Rewrite, now: Instant) {
        self.clock = self.clock.max(now);
        let mid = Mid::from(mid);
        let mut direct = self.rtc.direct_api();
        let Some(stream) = direct.stream_tx_by_mid(mid, None) else { return };
        self.reports.sent(mid);
        let nothing: &[u8] = &[];
        stream.write_rtp(RtpWrite::new(
            Pt::from(payload_type),
            rewrite.seq.into(),
            rewrite.rtp,
            now,
            nothing,
        ));
        self.is_written = true;
    }

    /// Sends a data packet.
    pub(crate) fn send_data(&mut self, kind: DataKind, bytes: &[u8], now: Instant) -> Written {
        let (id, room, drain) = match kind {
            DataKind::Reliable | DataKind::Other => (self.reliable, RELIABLE_BUFFER_BYTES, None),
            DataKind::Lossy => (self.lossy, LOSSY_BUFFER_BYTES, Some(&mut self.lossy_drain)),
            DataKind::Track => (self.tracks, LOSSY_BUFFER_BYTES, Some(&mut self.tracks_drain)),
        };
        let Some(mut channel) = id.and_then(|id| self.rtc.channel(id)) else {
            return Written::NotNow;
        };
        if bytes.len() > room {
            return Written::TooLong;
        }
        let buffered = channel.buffered_amount();
        let has_room = buffered + bytes.len() <= room;
        let written = match drain {
            None if has_room => write(&mut channel, bytes),
            None => Written::NotNow,
            Some(drain) => {
                let is_late = drain.is_late(buffered, now);
                let written = if has_room && !is_late { write(&mut channel, bytes) } else { Written::NotNow };
                if written == Written::Yes {
                    drain.wrote(bytes.len());
                }
                written
            }
        };
        if written == Written::Yes {
            self.drain();
        }
        written
    }

    /// How much data the peer may have under way.
    pub(crate) fn set_data_window(&self, bytes: usize) {
        self.gate.window.store(u32::try_from(bytes).unwrap_or(u32::MAX), Relaxed);
    }
}
