//! The DTLS of sessions, watched from inside: str0m lets its cryptography be given to it, and that is where this stands.
//!
//! ```text
//!   datagram ─► forged? gone ─► DTLS ─► application data (SCTP) ─► str0m
//!                                └─► keys of SRTP ─► srtp::Verifier
//!   str0m ─► SCTP packet ─► its receive window, as small as the room says ─► DTLS ─► datagram
//! ```
//!
//! Three things are done here that str0m does not do. A connection that stands takes encrypted records only: plain ones, which
//! anybody can send in a peer's name, fill its queues and end it. The keys of SRTP are kept, to tell who encrypted a packet before
//! str0m believes it. And a sender of data is told how much is wanted of it.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use str0m::crypto::CryptoError;
use str0m::crypto::dtls::{
    DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, DtlsVersion, KeyingMaterial, SrtpProfile,
};

use super::sctp::Acknowledgements;

/// A peer that says nothing by DTLS has got the end of the handshake after so long.
const SETTLED_AFTER: Duration = Duration::from_secs(10);
/// A record's header: type, version, epoch, number, length.
const HEADER_BYTES: usize = 13;

/// What a session knows of its DTLS, and tells it.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) keys: OnceLock<Keys>,
    /// Pieces of application data that the peer encrypted.
    pub(super) authentic: AtomicU64,
    /// Bytes of data that the peer may have under way.
    pub(super) window: AtomicU32,
    is_settled: AtomicBool,
}

/// The keys of SRTP.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) material: KeyingMaterial,
    pub(super) profile: SrtpProfile,
    /// Whether the server began the handshake.
    pub(super) is_active: bool,
}

thread_local! {
    /// The session that is being made: str0m makes its DTLS meanwhile.
    static MAKING: RefCell<Option<Arc<Gate>>> = const { RefCell::new(None) };
}

impl Gate {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            keys: OnceLock::new(),
            authentic: AtomicU64::new(0),
            window: AtomicU32::new(u32::MAX),
            is_settled: AtomicBool::new(false),
        })
    }

    /// Makes something whose DTLS goes through the gate.
    pub(super) fn around<T>(make: impl FnOnce() -> T) -> (T, Arc<Self>) {
        let gate = Self::new();
        MAKING.with(|making| making.replace(Some(Arc::clone(&gate))));
        let made = make();
        MAKING.with(RefCell::take);
        (made, gate)
    }
}

/// The cryptography of all sessions. Safe to call again.
pub(super) fn install() {
    static WATCHED: OnceLock<Watched> = OnceLock::new();
    let mut provider = str0m::crypto::from_feature_flags();
    provider.dtls_provider = WATCHED.get_or_init(|| Watched(provider.dtls_provider));
    provider.install_process_default();
}

#[derive(Debug)]
struct Watched(&'static dyn DtlsProvider);

impl DtlsProvider for Watched {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        self.0.generate_certificate()
    }

    fn new_dtls(
        &self,
        cert: &DtlsCert,
        now: Instant,
        dtls_version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let inner = self.0.new_dtls(cert, now, dtls_version, mtu)?;
        let gate = MAKING.with(|making| making.borrow().clone()).unwrap_or_else(Gate::new);
        Ok(Box::new(WatchedDtls {
            inner,
            gate,
            connected: None,
            acknowledgements: Acknowledgements::default(),
            now,
        }))
    }

    fn is_test(&self) -> bool {
        self.0.is_test()
    }
}

#[derive(Debug)]
struct WatchedDtls {
    inner: Box<dyn DtlsInstance>,
    gate: Arc<Gate>,
    connected: Option<Instant>,
    acknowledgements: Acknowledgements,
    now: Instant,
}

impl DtlsInstance for WatchedDtls {
    fn set_active(&mut self, active: bool) {
        self.inner.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        if self.gate.is_settled.load(Relaxed) && !is_encrypted(packet) {
            return Ok(());
        }
        self.inner.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buf: &'a mut [u8]) -> DtlsOutput<'a> {
        let is_active = self.inner.is_active();
        let output = match self.inner.poll_output(buf) {
            DtlsOutput::Timeout(at) => {
                DtlsOutput::Timeout(self.acknowledgements.due_at().map_or(at, |due| due.min(at)))
            }
            output => output,
        };
        match &output {
            DtlsOutput::Connected => self.connected = Some(self.now),
            DtlsOutput::KeyingMaterial(material, profile) => {
                let material = KeyingMaterial::new(material.as_ref());
                let _ = self.gate.keys.set(Keys { material, profile: *profile, is_active });
            }
            DtlsOutput::ApplicationData(_) => {
                self.gate.authentic.fetch_add(1, Relaxed);
                self.gate.is_settled.store(true, Relaxed);
            }
            _ => {}
        }
        output
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.now = now;
        if self.connected.is_some_and(|since| now.saturating_duration_since(since) > SETTLED_AFTER) {
            self.gate.is_settled.store(true, Relaxed);
        }
        if let Some(due) = self.acknowledgements.due(self.gate.window.load(Relaxed), now) {
            self.inner.send_application_data(&due)?;
        }
        self.inner.handle_timeout(now)
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        match self.acknowledgements.pass(data, self.gate.window.load(Relaxed), self.now) {
            Some(passed) => self.inner.send_application_data(&passed),
            None => Ok(data.len()),
        }
    }

    fn is_active(&self) -> bool {
        self.inner.is_active()
    }

    fn protocol_version(&self) -> Option<str0m::crypto::dtls::ProtocolVersion> {
        self.inner.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.inner.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.inner.close()
    }
}

/// Whether all records of a datagram are of a later epoch than the handshake's first, which is plain text (DTLS 1.2).
fn is_encrypted(mut packet: &[u8]) -> bool {
    while !packet.is_empty() {
        let Some(header) = packet.get(..HEADER_BYTES) else { return false };
        let epoch = u16::from_be_bytes([header[3], header[4]]);
        let len = usize::from(u16::from_be_bytes([header[11], header[12]]));
        let is_record = (20..=25).contains(&header[0]);
        let Some(rest) = packet.get(HEADER_BYTES + len..).filter(|_| is_record && epoch > 0) else {
            return false;
        };
        packet = rest;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::is_encrypted;

    #[test]
    fn a_datagram_is_encrypted_where_all_its_records_are() {
        let record =
            |kind: u8, epoch: u8| [&[kind, 254, 253, 0, epoch, 0, 0, 0, 0, 0, 9, 0, 2][..], &[1, 2]].concat();
        assert!(is_encrypted(&record(23, 1)));
        assert!(is_encrypted(&[record(21, 1), record(23, 1)].concat()));
        assert!(!is_encrypted(&record(23, 0)));
        assert!(!is_encrypted(&[record(23, 1), record(22, 0)].concat()), "hidden behind another one");
        assert!(!is_encrypted(&record(23, 1)[..14]), "cut short");
        assert!(!is_encrypted(&[0x2f; 40]), "another version");
    }
}
