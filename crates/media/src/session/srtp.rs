//! Who encrypted a packet of media (RFC 3711, RFC 7714), told before str0m sees it.
//!
//! str0m maps a packet to its section before it checks who encrypted it: one forged packet with another sender's number took a track
//! away from its peer. So a sender of media that is new is checked here first, and so is what comes from a new address.

use std::fmt;

use str0m::crypto::dtls::SrtpProfile;
use str0m::crypto::{
    AeadAes128Gcm, AeadAes128GcmCipher, AeadAes256Gcm, AeadAes256GcmCipher, Aes128CmSha1_80,
    Aes128CmSha1_80Cipher, CryptoProvider,
};

use super::dtls::Keys;

const RTP_HEADER_BYTES: usize = 12;
const RTCP_HEADER_BYTES: usize = 8;
const INDEX_BYTES: usize = 4;

/// Which key of a session (RFC 3711, 4.3.1).
#[derive(Clone, Copy)]
enum Label {
    RtpKey = 0,
    RtpSign = 1,
    RtpSalt = 2,
    RtcpKey = 3,
    RtcpSign = 4,
    RtcpSalt = 5,
}

/// Checks what a peer sent.
pub(super) struct Verifier {
    scheme: Scheme,
    scratch: Vec<u8>,
    /// What the last packet of feedback says.
    feedback: Vec<u8>,
}

enum Scheme {
    Sha1 { rtp: [u8; 20], rtcp: [u8; 20], rtcp_cipher: Box<dyn Aes128CmSha1_80Cipher>, rtcp_salt: [u8; 14] },
    Gcm128 { rtp: Gcm<dyn AeadAes128GcmCipher>, rtcp: Gcm<dyn AeadAes128GcmCipher> },
    Gcm256 { rtp: Gcm<dyn AeadAes256GcmCipher>, rtcp: Gcm<dyn AeadAes256GcmCipher> },
}

struct Gcm<C: ?Sized> {
    cipher: Box<C>,
    salt: [u8; 12],
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

/// The peer's master key and salt (RFC 5764, 4.2).
struct Master<'a> {
    key: &'a [u8],
    salt: &'a [u8],
}

impl<'a> Master<'a> {
    fn of(keys: &'a Keys, key_len: usize, salt_len: usize) -> Option<Self> {
        let material: &[u8] = &keys.material;
        // The client's come first.
        let (key, salt) = if keys.is_active { (key_len, salt_len) } else { (0, 0) };
        Some(Self {
            key: material.get(key..key + key_len)?,
            salt: material.get(2 * key_len + salt..2 * key_len + salt + salt_len)?,
        })
    }

    fn derive<const LEN: usize>(&self, crypto: &CryptoProvider, label: Label) -> [u8; LEN] {
        let mut input = [0; 16];
        input[..self.salt.len()].copy_from_slice(self.salt);
        input[7] ^= label as u8;
        let mut output = [0; LEN];
        for (round, part) in output.chunks_mut(16).enumerate() {
            let mut block = [0; 32];
            input[14..].copy_from_slice(&(round as u16).to_be_bytes());
            if self.key.len() == 16 {
                crypto.srtp_provider.srtp_aes_128_ecb_round(self.key, &input, &mut block);
            } else {
                crypto.srtp_provider.srtp_aes_256_ecb_round(self.key, &input, &mut block);
            }
            part.copy_from_slice(&block[..part.len()]);
        }
        output
    }
}

impl Verifier {
    pub(super) fn new(keys: &Keys) -> Option<Self> {
        let crypto = CryptoProvider::get_default()?;
        let scheme = match keys.profile {
            SrtpProfile::AES128_CM_SHA1_80 => {
                let master = Master::of(keys, Aes128CmSha1_80::KEY_LEN, Aes128CmSha1_80::SALT_LEN)?;
                let rtcp_key = master.derive(crypto, Label::RtcpKey);
                Scheme::Sha1 {
                    rtp: master.derive(crypto, Label::RtpSign),
                    rtcp: master.derive(crypto, Label::RtcpSign),
                    rtcp_cipher: crypto.srtp_provider.aes_128_cm_sha1_80().create_cipher(rtcp_key, false),
                    rtcp_salt: master.derive(crypto, Label::RtcpSalt),
                }
            }
            SrtpProfile::AEAD_AES_128_GCM => {
                let master = Master::of(keys, AeadAes128Gcm::KEY_LEN, AeadAes128Gcm::SALT_LEN)?;
                let gcm = |key, salt| {
                    let key = master.derive(crypto, key);
                    let cipher = crypto.srtp_provider.aead_aes_128_gcm().create_cipher(key, false);
                    Gcm { cipher, salt: master.derive(crypto, salt) }
                };
                Scheme::Gcm128 {
                    rtp: gcm(Label::RtpKey, Label::RtpSalt),
                    rtcp: gcm(Label::RtcpKey, Label::RtcpSalt),
                }
            }
            SrtpProfile::AEAD_AES_256_GCM => {
                let master = Master::of(keys, AeadAes256Gcm::KEY_LEN, AeadAes256Gcm::SALT_LEN)?;
                let gcm = |key, salt| {
                    let key = master.derive(crypto, key);
                    let cipher = crypto.srtp_provider.aead_aes_256_gcm().create_cipher(key, false);
                    Gcm { cipher, salt: master.derive(crypto, salt) }
                };
                Scheme::Gcm256 {
                    rtp: gcm(Label::RtpKey, Label::RtpSalt),
                    rtcp: gcm(Label::RtcpKey, Label::RtcpSalt),
                }
            }
            _ => return None,
        };
        Some(Self { scheme, scratch: Vec::new(), feedback: Vec::new() })
    }

    /// Whether the peer encrypted the packet, as one of the first 65,536 of its sender.
    pub(super) fn is_early_rtp(&mut self, packet: &[u8]) -> bool {
        self.rtp(packet).is_some()
    }

    fn rtp(&mut self, packet: &[u8]) -> Option<()> {
        let header = rtp_header(packet)?;
        let ssrc = u32::from_be_bytes(*packet.get(8..)?.first_chunk()?);
        let number = u16::from_be_bytes(*packet.get(2..)?.first_chunk()?);
        match &mut self.scheme {
            Scheme::Sha1 { rtp, .. } => {
                let signed = packet.len().checked_sub(Aes128CmSha1_80::HMAC_TAG_LEN)?;
                let (body, tag) = packet.split_at_checked(signed)?;
                let hmac = CryptoProvider::get_default()?.sha1_hmac_provider;
                let hmac = |key: &[u8], payloads: &[&[u8]]| hmac.sha1_hmac(key, payloads);
                Aes128CmSha1_80::rtp_verify(hmac, rtp, body, number.into(), tag).then_some(())
            }
            Scheme::Gcm128 { rtp, .. } => {
                let iv = AeadAes128Gcm::rtp_iv(rtp.salt, ssrc, 0, number);
                let (head, input) = packet.split_at_checked(header)?;
                self.scratch.resize(input.len().checked_sub(AeadAes128Gcm::TAG_LEN)?, 0);
                rtp.cipher.decrypt(&iv, &[head], input, &mut self.scratch).ok().map(drop)
            }
            Scheme::Gcm256 { rtp, .. } => {
                let iv = AeadAes256Gcm::rtp_iv(rtp.salt, ssrc, 0, number);
                let (head, input) = packet.split_at_checked(header)?;
                self.scratch.resize(input.len().checked_sub(AeadAes256Gcm::TAG_LEN)?, 0);
                rtp.cipher.decrypt(&iv, &[head], input, &mut self.scratch).ok().map(drop)
            }
        }
    }

    /// Whether the peer signed the packet of feedback.
    pub(super) fn is_rtcp(&mut self, packet: &[u8]) -> bool {
        self.rtcp(packet).is_some()
    }

    /// What the packet of feedback says that was found last to be the peer's: without encryption and signature.
    pub(super) fn verified_feedback(&mut self, packet: &[u8]) -> Option<&[u8]> {
        let (head, rest) = packet.split_at_checked(RTCP_HEADER_BYTES)?;
        let tag = match self.scheme {
            Scheme::Sha1 { .. } => Aes128CmSha1_80::HMAC_TAG_LEN,
            Scheme::Gcm128 { .. } | Scheme::Gcm256 { .. } => 0,
        };
        let (rest, _) = rest.split_at_checked(rest.len().checked_sub(tag)?)?;
        let (body, index) = rest.split_at_checked(rest.len().checked_sub(INDEX_BYTES)?)?;
        let flagged = u32::from_be_bytes(*index.first_chunk()?);
        let is_encrypted = flagged & 0x8000_0000 != 0;
        self.feedback.clear();
        self.feedback.extend_from_slice(head);
        match &mut self.scheme {
            Scheme::Sha1 { rtcp_cipher, rtcp_salt, .. } if is_encrypted => {
                let ssrc = u32::from_be_bytes(*head.get(4..)?.first_chunk()?);
                let iv = Aes128CmSha1_80::rtp_iv(*rtcp_salt, ssrc, u64::from(flagged & 0x7fff_ffff));
                self.feedback.resize(RTCP_HEADER_BYTES + body.len(), 0);
                rtcp_cipher.decrypt(&iv, body, &mut self.feedback[RTCP_HEADER_BYTES..]).ok()?;
            }
            // What was decrypted to see who signed it.
            Scheme::Gcm128 { .. } | Scheme::Gcm256 { .. } if is_encrypted => {
                self.feedback.extend_from_slice(&self.scratch);
            }
            Scheme::Sha1 { .. } => self.feedback.extend_from_slice(body),
            Scheme::Gcm128 { .. } | Scheme::Gcm256 { .. } => {
                self.feedback.extend_from_slice(body.get(..body.len().checked_sub(AeadAes128Gcm::TAG_LEN)?)?);
            }
        }
        Some(&self.feedback)
    }

    fn rtcp(&mut self, packet: &[u8]) -> Option<()> {
        let ssrc = u32::from_be_bytes(*packet.get(4..)?.first_chunk()?);
        if let Scheme::Sha1 { rtcp, .. } = &self.scheme {
            let signed = packet.len().checked_sub(Aes128CmSha1_80::HMAC_TAG_LEN)?;
            let (body, tag) = packet.split_at_checked(signed)?;
            let hmac = CryptoProvider::get_default()?.sha1_hmac_provider;
            let hmac = |key: &[u8], payloads: &[&[u8]]| hmac.sha1_hmac(key, payloads);
            return Aes128CmSha1_80::rtcp_verify(hmac, rtcp, body, tag).then_some(());
        }
        let (rest, index) = packet.split_at_checked(packet.len().checked_sub(INDEX_BYTES)?)?;
        let flagged = u32::from_be_bytes(*index.first_chunk()?);
        let is_encrypted = flagged & 0x8000_0000 != 0;
        // What is not encrypted is signed even so: the signature alone is what is left to decrypt.
        let head =
            if is_encrypted { RTCP_HEADER_BYTES } else { rest.len().checked_sub(AeadAes128Gcm::TAG_LEN)? };
        let (head, input) = rest.split_at_checked(head)?;
        self.scratch.resize(input.len().checked_sub(AeadAes128Gcm::TAG_LEN)?, 0);
        let number = flagged & 0x7fff_ffff;
        match &mut self.scheme {
            Scheme::Gcm128 { rtcp, .. } => {
                let iv = AeadAes128Gcm::rtcp_iv(rtcp.salt, ssrc, number);
                rtcp.cipher.decrypt(&iv, &[head, index], input, &mut self.scratch).ok().map(drop)
            }
            Scheme::Gcm256 { rtcp, .. } => {
                let iv = AeadAes256Gcm::rtcp_iv(rtcp.salt, ssrc, number);
                rtcp.cipher.decrypt(&iv, &[head, index], input, &mut self.scratch).ok().map(drop)
            }
            Scheme::Sha1 { .. } => None,
        }
    }
}

/// The bytes in front of the payload, which are not encrypted.
fn rtp_header(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let mut len = RTP_HEADER_BYTES + usize::from(first & 0x0f) * 4;
    if first & 0x10 != 0 {
        let words = u16::from_be_bytes(*packet.get(len + 2..)?.first_chunk()?);
        len += 4 + usize::from(words) * 4;
    }
    (len <= packet.len()).then_some(len)
}
