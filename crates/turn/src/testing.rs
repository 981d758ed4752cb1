//! A client for tests, here and in the crates that carry its messages: it says what it is asked to, and reads what it is answered.

use std::net::SocketAddr;

use turn_types::attribute::{
    ChannelNumber, Data, Lifetime, RequestedAddressFamily, RequestedTransport, XorPeerAddress,
    XorRelayedAddress,
};
use turn_types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH, SEND};
use turn_types::stun::attribute::{
    AttributeType, ErrorCode, Nonce, RawAttribute, Realm, Username, XorMappedAddress,
};
use turn_types::stun::message::{
    BINDING, IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageClass, MessageType, MessageWriteVec,
    Method, ShortTermCredentials, TransactionId,
};
use turn_types::stun::prelude::{AttributeWrite, MessageWrite as _, MessageWriteExt as _};

pub use turn_types::AddressFamily;

use crate::Credentials;

/// What a client asks for.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Where it is seen.
    Binding,
    /// An allocation of the family that the server likes.
    Allocate,
    /// An allocation of a family.
    AllocateOf(AddressFamily),
    /// An allocation for another protocol than UDP.
    AllocateFor(u8),
    /// So many seconds more.
    Refresh(u32),
    /// To reach addresses.
    Permit(Vec<SocketAddr>),
    /// A channel for an address.
    Bind(u16, SocketAddr),
}

/// What it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It is refused by a code.
    Refused(u16),
    /// It has an allocation: its relayed address.
    Allocated(SocketAddr),
    /// Where the server sees it.
    Seen(SocketAddr),
    /// Done, with the seconds that it lasts where that is said.
    Done(Option<u32>),
    /// A datagram came from an address.
    Data(SocketAddr, Vec<u8>),
    /// A datagram came on a channel.
    Channel(u16, Vec<u8>),
}

/// See the module.
#[derive(Clone, Debug)]
pub struct TestClient {
    credentials: Credentials,
    challenge: Option<(String, String)>,
    asked: u128,
}

impl TestClient {
    /// One that has these.
    pub fn new(credentials: Credentials) -> Self {
        Self { credentials, challenge: None, asked: 0 }
    }

    /// A request, signed once the server has said what for.
    pub fn ask(&mut self, ask: &Ask) -> Vec<u8> {
        self.asked += 1;
        self.again(ask)
    }

    /// The same request as the last one, as if its answer was lost.
    pub fn again(&self, ask: &Ask) -> Vec<u8> {
        let transaction = TransactionId::from(self.asked);
        let mut message = begin(MessageClass::Request, method(ask), transaction);
        match ask {
            Ask::Binding => return message.finish(),
            Ask::Allocate => put(&mut message, &RequestedTransport::new(RequestedTransport::UDP)),
            Ask::AllocateOf(family) => {
                put(&mut message, &RequestedTransport::new(RequestedTransport::UDP));
                put(&mut message, &RequestedAddressFamily::new(*family));
            }
            Ask::AllocateFor(protocol) => put(&mut message, &RequestedTransport::new(*protocol)),
            Ask::Refresh(seconds) => put(&mut message, &Lifetime::new(*seconds)),
            Ask::Permit(peers) => {
                for peer in peers {
                    put(&mut message, &XorPeerAddress::new(*peer, transaction));
                }
            }
            Ask::Bind(number, peer) => {
                put(&mut message, &ChannelNumber::new(*number));
                put(&mut message, &XorPeerAddress::new(*peer, transaction));
            }
        }
        let Some((realm, nonce)) = &self.challenge else { return message.finish() };
        let Credentials { username, password } = &self.credentials;
        put(&mut message, &Username::new(username).expect("it is short"));
        put(&mut message, &Realm::new(realm).expect("it is short"));
        put(&mut message, &Nonce::new(nonce).expect("it is short"));
        let key = LongTermKeyCredentials::new(username.clone(), password.clone(), realm.clone())
            .make_key(IntegrityAlgorithm::Sha1);
        message.add_message_integrity_with_key(&key, IntegrityAlgorithm::Sha1).expect("it is signed once");
        message.finish()
    }

    /// A datagram for an address, in an indication.
    pub fn send(&mut self, peer: SocketAddr, bytes: &[u8]) -> Vec<u8> {
        self.asked += 1;
        let transaction = TransactionId::from(self.asked);
        let mut message = begin(MessageClass::Indication, SEND, transaction);
        put(&mut message, &XorPeerAddress::new(peer, transaction));
        put(&mut message, &Data::new(bytes));
        message.finish()
    }

    /// Reads a message of the server, and what it has to sign with from then on.
    ///
    /// # Panics
    /// It is none, or one that no server sends.
    pub fn read(&mut self, bytes: &[u8]) -> Said {
        if let [0x40..=0x4f, ..] = bytes {
            let (number, len) = turn_types::channel::ChannelData::parse_header(bytes).expect("a channel");
            return Said::Channel(number, bytes[4..4 + len].to_vec());
        }
        let message = Message::from_bytes(bytes).expect("a message");
        let transaction = message.transaction_id();
        match message.class() {
            MessageClass::Error => {
                if let (Ok(realm), Ok(nonce)) = (message.attribute::<Realm>(), message.attribute::<Nonce>()) {
                    self.challenge = Some((realm.realm().to_owned(), nonce.nonce().to_owned()));
                }
                Said::Refused(message.attribute::<ErrorCode>().expect("an error has a code").code())
            }
            MessageClass::Success => {
                if let Ok(relayed) = message.attribute::<XorRelayedAddress>() {
                    return Said::Allocated(relayed.addr(transaction));
                }
                if let Ok(seen) = message.attribute::<XorMappedAddress>() {
                    return Said::Seen(seen.addr(transaction));
                }
                Said::Done(message.attribute::<Lifetime>().ok().map(|lifetime| lifetime.seconds()))
            }
            MessageClass::Indication => {
                let peer = message.attribute::<XorPeerAddress>().expect("data has a sender");
                let data = message.attribute::<Data<'_>>().expect("data has data");
                Said::Data(peer.addr(transaction), data.data().to_vec())
            }
            MessageClass::Request => panic!("a server asks for nothing"),
        }
    }
}

/// A datagram on a channel, filled up to four bytes as on a stream.
pub fn on_channel(number: u16, bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).expect("a short datagram");
    let mut message = [&number.to_be_bytes()[..], &len.to_be_bytes()[..], bytes].concat();
    message.resize(message.len().next_multiple_of(4), 0);
    message
}

/// What ICE asks a session for, by its name and its password: not of TURN, but what goes by it.
pub fn ice_request(session: &str, password: &str) -> Vec<u8> {
    const PRIORITY: AttributeType = AttributeType::new(0x0024);
    let mut message = begin(MessageClass::Request, BINDING, TransactionId::from(1));
    put(&mut message, &Username::new(&format!("{session}:peer")).expect("it is short"));
    put(&mut message, &RawAttribute::new(PRIORITY, &[0, 0, 0, 1]));
    let key = ShortTermCredentials::new(password.to_owned()).make_key();
    message.add_message_integrity_with_key(&key, IntegrityAlgorithm::Sha1).expect("it is signed once");
    message.add_fingerprint().expect("it has none yet");
    message.finish()
}

fn method(ask: &Ask) -> Method {
    match ask {
        Ask::Binding => BINDING,
        Ask::Allocate | Ask::AllocateOf(_) | Ask::AllocateFor(_) => ALLOCATE,
        Ask::Refresh(_) => REFRESH,
        Ask::Permit(_) => CREATE_PERMISSION,
        Ask::Bind(..) => CHANNEL_BIND,
    }
}

fn begin(class: MessageClass, method: Method, transaction: TransactionId) -> MessageWriteVec {
    Message::builder(MessageType::from_class_method(class, method), transaction, MessageWriteVec::new())
}

fn put(message: &mut MessageWriteVec, attribute: &dyn AttributeWrite) {
    message.add_attribute(attribute).expect("a message of a test is short");
}
