//! The server: who has what, and what each message comes to. Pure.
//!
//! ```text
//!   request ─► too fast? ─► Binding: answered ─► signed? no: 401 with a nonce ─► by credentials that hold? no: 401, 438, 441
//!                                                  └─► Allocate │ Refresh │ CreatePermission │ ChannelBind ─► answered, signed
//!   Send, ChannelData ─► allocation, permission, pace ─► Heard::ToMedia
//! ```

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use reelroom_limits::media::{
    TURN_ALLOCATIONS, TURN_ASKERS, TURN_LASTS, TURN_OF_ADDRESS, TURN_OF_PARTICIPANT,
};
use reelroom_limits::pace::Paces;
use turn_types::AddressFamily;
use turn_types::attribute::{
    ChannelNumber, Data, DontFragment, EvenPort, Lifetime, RequestedAddressFamily, RequestedTransport,
    ReservationToken, XorPeerAddress, XorRelayedAddress,
};
use turn_types::channel::ChannelData;
use turn_types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, DATA, REFRESH, SEND};
use turn_types::stun::attribute::{
    AttributeType, ErrorCode, MessageIntegrity, MessageIntegritySha256, Nonce, Realm, UnknownAttributes,
    Userhash, Username, XorMappedAddress,
};
use turn_types::stun::message::{
    BINDING, IntegrityAlgorithm, IntegrityKey, LongTermKeyCredentials, Message, MessageClass, MessageType,
    MessageWriteVec, TransactionId,
};
use turn_types::stun::prelude::{
    Attribute as _, AttributeStaticType as _, AttributeWrite, MessageWrite as _, MessageWriteExt as _,
};

use crate::allocation::{Allocation, NotBound, Owner, REQUESTS};
use crate::credentials::{Bearer, Credentials, Secret};
use crate::framing::HEADER_BYTES;
use crate::peers::{Family, Peers, relayed};

/// What clients sign their requests for. LiveKit's.
const REALM: &str = "livekit";
/// Relayed addresses have ports from here on.
const FIRST_PORT: u16 = 1024;
/// Channels of RFC 8656.
const CHANNELS: std::ops::RangeInclusive<u16> = 0x4000..=0x4fff;
/// What has to be understood, and is.
const UNDERSTOOD: [AttributeType; 15] = [
    Username::TYPE,
    MessageIntegrity::TYPE,
    MessageIntegritySha256::TYPE,
    Realm::TYPE,
    Nonce::TYPE,
    Userhash::TYPE,
    Lifetime::TYPE,
    RequestedTransport::TYPE,
    RequestedAddressFamily::TYPE,
    XorPeerAddress::TYPE,
    ChannelNumber::TYPE,
    DontFragment::TYPE,
    EvenPort::TYPE,
    ReservationToken::TYPE,
    Data::TYPE,
];

/// How a client's messages come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One in a datagram.
    Udp,
    /// One after another, filled up to four bytes each: TCP or TLS.
    Stream,
}

/// A client by its way to the server: it has one allocation at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    /// How its messages come.
    pub transport: Transport,
    /// Where they come from.
    pub remote: SocketAddr,
    /// Where they arrive.
    pub local: SocketAddr,
}

/// The time.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For what lasts.
    pub at: Instant,
    /// For what is said to others, in seconds since 1970.
    pub unix_s: u64,
}

/// What a message of a client comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard<'b> {
    /// It is answered this, as it goes on its transport.
    Answer(Vec<u8>),
    /// It is a datagram for a session.
    ToMedia {
        /// Where it comes from, to the session.
        relayed: SocketAddr,
        /// Where it arrives.
        local: SocketAddr,
        /// What is in it.
        bytes: &'b [u8],
    },
    /// Nothing is done.
    Dropped(Dropped),
}

/// Why something is not passed on, or not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// It is no message that a client has for a server.
    NoTurn,
    /// Nobody has that allocation, or not any more.
    NoAllocation,
    /// The client has not asked to reach that address, or may not.
    NoPermission,
    /// More bytes than an allocation may have.
    TooMuch,
    /// More requests than an allocation, or an address without one, may have.
    TooFast,
}

/// Why a request is refused.
struct Refusal {
    code: u16,
    /// Whether it is told what to sign with.
    is_challenge: bool,
    /// By which the refusal is signed, once the client has shown who it is.
    key: Option<IntegrityKey>,
}

impl Refusal {
    fn plain(code: u16) -> Self {
        Self { code, is_challenge: false, key: None }
    }

    fn challenge(code: u16) -> Self {
        Self { code, is_challenge: true, key: None }
    }
}

/// Who signed a request.
struct Signer {
    username: String,
    bearer: Bearer,
    key: IntegrityKey,
}

/// See the crate.
pub struct Server {
    secret: Secret,
    peers: Peers,
    allocations: HashMap<Client, Allocation>,
    by_relayed: HashMap<SocketAddr, Client>,
    of_participant: HashMap<String, usize>,
    of_network: HashMap<IpAddr, usize>,
    next_port: u16,
    /// Who has no allocation, by address: one of UDP may be forged, and costs those of streams nothing.
    askers: Paces<(Transport, IpAddr)>,
    /// Numbers the indications that clients are sent.
    sent: u128,
    ended: Vec<SocketAddr>,
}

impl Server {
    /// One whose clients reach nothing yet: see [`Server::set_peers`].
    pub fn new(secret: Secret) -> Self {
        Self {
            secret,
            peers: Peers::default(),
            allocations: HashMap::new(),
            by_relayed: HashMap::new(),
            of_participant: HashMap::new(),
            of_network: HashMap::new(),
            next_port: FIRST_PORT,
            askers: Paces::new(REQUESTS, TURN_ASKERS),
            sent: 0,
            ended: Vec::new(),
        }
    }

    /// Clients reach these from now on. What is permitted already ends by itself where it is none of them any more.
    pub fn set_peers(&mut self, peers: Peers) {
        self.peers = peers;
    }

    /// What a participant is given to make allocations.
    pub fn issue(&self, participant: &str, now_unix_s: u64) -> Credentials {
        self.secret.issue(participant, now_unix_s)
    }

    /// Whether a client has an allocation.
    pub fn has_allocation(&self, client: &Client) -> bool {
        self.allocations.contains_key(client)
    }

    /// Where the client of a relayed address is.
    pub fn client_of(&self, relayed: SocketAddr) -> Option<Client> {
        self.by_relayed.get(&relayed).copied()
    }

    /// How many allocations there are.
    pub fn len(&self) -> usize {
        self.allocations.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.allocations.is_empty()
    }

    /// Takes one message of a client. On a stream it may be filled up to four bytes.
    pub fn receive<'b>(&mut self, client: Client, bytes: &'b [u8], now: Now) -> Heard<'b> {
        if matches!(bytes, [0x40..=0x4f, ..]) {
            return self.channel_data(&client, bytes, now.at).unwrap_or_else(Heard::Dropped);
        }
        let Ok(message) = Message::from_bytes(bytes) else { return Heard::Dropped(Dropped::NoTurn) };
        match message.class() {
            MessageClass::Indication if message.has_method(SEND) => {
                self.indication(&client, &message, bytes, now.at).unwrap_or_else(Heard::Dropped)
            }
            MessageClass::Request => {
                if !self.may_ask(&client, now.at) {
                    return Heard::Dropped(Dropped::TooFast);
                }
                Heard::Answer(self.request(&client, &message, now))
            }
            MessageClass::Indication | MessageClass::Success | MessageClass::Error => {
                Heard::Dropped(Dropped::NoTurn)
            }
        }
    }

    /// Takes a datagram that a session sends from `local` to a relayed address: the client, and what it is sent.
    ///
    /// # Errors
    /// It is not passed on.
    pub fn send(
        &mut self,
        relayed: SocketAddr,
        local: SocketAddr,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(Client, Vec<u8>), Dropped> {
        let client = *self.by_relayed.get(&relayed).ok_or(Dropped::NoAllocation)?;
        let allocation = self.allocations.get_mut(&client).ok_or(Dropped::NoAllocation)?;
        if allocation.is_over(now) {
            return Err(Dropped::NoAllocation);
        }
        let peer = allocation.known_as(local).unwrap_or(local);
        let channel = allocation.channel_of(peer, now);
        if channel.is_none() && !allocation.permits(peer.ip(), now) {
            return Err(Dropped::NoPermission);
        }
        if !allocation.gets(bytes.len(), now) {
            return Err(Dropped::TooMuch);
        }
        if let Some(number) = channel {
            return Ok((client, channel_data(number, bytes, client.transport)));
        }
        self.sent = self.sent.wrapping_add(1);
        let transaction = TransactionId::from(self.sent);
        let kind = MessageType::from_class_method(MessageClass::Indication, DATA);
        let mut indication =
            Message::builder(kind, transaction, MessageWriteVec::with_capacity(bytes.len() + 64));
        add(&mut indication, &XorPeerAddress::new(peer, transaction));
        add(&mut indication, &Data::new(bytes));
        Ok((client, indication.finish()))
    }

    /// A client's stream is closed, and what it had is over.
    pub fn closed(&mut self, client: &Client) {
        self.remove(client);
    }

    /// Ends what was not refreshed in time.
    pub fn timeout(&mut self, now: Instant) {
        let is_over = |(client, one): (&Client, &Allocation)| one.is_over(now).then_some(*client);
        let over: Vec<_> = self.allocations.iter().filter_map(is_over).collect();
        for client in over {
            self.remove(&client);
        }
    }

    /// Relayed addresses that are nobody's any more, each once.
    pub fn take_ended(&mut self) -> Vec<SocketAddr> {
        std::mem::take(&mut self.ended)
    }

    /// Asserts what always holds; for tests.
    #[doc(hidden)]
    pub fn check(&self) {
        assert!(self.allocations.len() <= TURN_ALLOCATIONS);
        assert_eq!(self.allocations.len(), self.by_relayed.len());
        for (relayed, client) in &self.by_relayed {
            assert_eq!(self.allocations[client].relayed, *relayed);
            assert!(crate::is_relayed(relayed.ip()) && relayed.port() >= FIRST_PORT);
        }
        for counts in [self.of_participant.values().sum::<usize>(), self.of_network.values().sum()] {
            assert_eq!(counts, self.allocations.len());
        }
        assert!(self.of_participant.values().all(|count| (1..=TURN_OF_PARTICIPANT).contains(count)));
        assert!(self.of_network.values().all(|count| (1..=TURN_OF_ADDRESS).contains(count)));
    }

    /// Whoever has an allocation is not held up by others of its address, and by who writes that address on datagrams of their own.
    fn may_ask(&mut self, client: &Client, now: Instant) -> bool {
        if let Some(allocation) = self.allocations.get_mut(client) {
            return allocation.asks(now);
        }
        let asker = (client.transport, network(client.remote.ip()));
        self.askers.take(asker, 1, Duration::ZERO, now).is_ok()
    }

    fn remove(&mut self, client: &Client) {
        let Some(allocation) = self.allocations.remove(client) else { return };
        self.by_relayed.remove(&allocation.relayed);
        uncount(&mut self.of_participant, &allocation.participant);
        uncount(&mut self.of_network, &network(client.remote.ip()));
        self.ended.push(allocation.relayed);
    }

    /// The answer to a request, whatever it is.
    fn request(&mut self, client: &Client, message: &Message<'_>, now: Now) -> Vec<u8> {
        if message.has_method(BINDING) {
            let mut answer = Message::builder_success(message, MessageWriteVec::new());
            add(&mut answer, &XorMappedAddress::new(client.remote, message.transaction_id()));
            return answer.finish();
        }
        let signer = match self.signer(client, message, now) {
            Ok(signer) => signer,
            Err(refusal) => return self.refuse(client, message, &refusal, now),
        };
        let types = message.iter_attributes().map(|(_, attribute)| attribute.get_type());
        let not_understood: Vec<_> =
            types.filter(|one| one.comprehension_required() && !UNDERSTOOD.contains(one)).collect();
        if !not_understood.is_empty() {
            let mut answer = Message::builder_error(message, MessageWriteVec::new());
            add(&mut answer, &error(ErrorCode::UNKNOWN_ATTRIBUTE));
            add(&mut answer, &UnknownAttributes::new(&not_understood));
            return signed(answer, &signer.key);
        }
        let key = signer.key.clone();
        let done = if message.has_method(ALLOCATE) {
            self.allocate(client, message, signer, now)
        } else if message.has_method(REFRESH) {
            self.refresh(client, message, now.at)
        } else if message.has_method(CREATE_PERMISSION) {
            self.create_permission(client, message, now.at)
        } else if message.has_method(CHANNEL_BIND) {
            self.bind_channel(client, message, now.at)
        } else {
            Err(Refusal::plain(ErrorCode::BAD_REQUEST))
        };
        match done {
            Ok(answer) => signed(answer, &key),
            Err(refusal) => self.refuse(client, message, &Refusal { key: Some(key), ..refusal }, now),
        }
    }

    fn refuse(&self, client: &Client, message: &Message<'_>, refusal: &Refusal, now: Now) -> Vec<u8> {
        let mut answer = Message::builder_error(message, MessageWriteVec::new());
        add(&mut answer, &error(refusal.code));
        if refusal.is_challenge {
            let nonce = self.secret.nonce(client.remote, now.unix_s);
            add(&mut answer, &Realm::new(REALM).expect("it is short"));
            add(&mut answer, &Nonce::new(&nonce).expect("it is short"));
        }
        match &refusal.key {
            Some(key) => signed(answer, key),
            None => answer.finish(),
        }
    }

    /// Who signed a request.
    fn signer(&self, client: &Client, message: &Message<'_>, now: Now) -> Result<Signer, Refusal> {
        let unauthorized = || Refusal::challenge(ErrorCode::UNAUTHORIZED);
        if !message.has_attribute(MessageIntegrity::TYPE) {
            return Err(unauthorized());
        }
        let bad_request = |_| Refusal::plain(ErrorCode::BAD_REQUEST);
        let username = message.attribute::<Username>().map_err(bad_request)?;
        let realm = message.attribute::<Realm>().map_err(bad_request)?;
        let nonce = message.attribute::<Nonce>().map_err(bad_request)?;
        if !self.secret.knows(nonce.nonce(), client.remote, now.unix_s) {
            return Err(Refusal::challenge(ErrorCode::STALE_NONCE));
        }
        let username = username.username();
        let bearer = Bearer::of(username).filter(|_| realm.realm() == REALM).ok_or_else(unauthorized)?;
        // The port of one that is over may be somebody else's by now.
        let known = self.allocations.get(client).filter(|one| !one.is_over(now.at));
        if known.is_some_and(|allocation| allocation.username != username) {
            return Err(Refusal::challenge(ErrorCode::WRONG_CREDENTIALS));
        }
        let key = known.map_or_else(
            || {
                let password = self.secret.password(username);
                LongTermKeyCredentials::new(username.to_owned(), password, REALM.to_owned())
                    .make_key(IntegrityAlgorithm::Sha1)
            },
            |allocation| allocation.key.clone(),
        );
        message.validate_integrity_with_key(&key).map_err(|_| unauthorized())?;
        Ok(Signer { username: username.to_owned(), bearer, key })
    }

    fn allocate(
        &mut self,
        client: &Client,
        message: &Message<'_>,
        signer: Signer,
        now: Now,
    ) -> Result<MessageWriteVec, Refusal> {
        if let Some(allocation) = self.allocations.get(client).filter(|one| !one.is_over(now.at)) {
            return if allocation.made_by == message.transaction_id() {
                Ok(allocated(message, client, allocation.relayed))
            } else {
                Err(Refusal::plain(ErrorCode::ALLOCATION_MISMATCH))
            };
        }
        self.remove(client);
        if signer.bearer.expires_unix_s <= now.unix_s {
            return Err(Refusal::challenge(ErrorCode::UNAUTHORIZED));
        }
        match message.attribute::<RequestedTransport>() {
            Ok(transport) if transport.protocol() == RequestedTransport::UDP => {}
            Ok(_) => return Err(Refusal::plain(ErrorCode::UNSUPPORTED_TRANSPORT_PROTOCOL)),
            Err(_) => return Err(Refusal::plain(ErrorCode::BAD_REQUEST)),
        }
        if message.has_attribute(EvenPort::TYPE) || message.has_attribute(ReservationToken::TYPE) {
            return Err(Refusal::plain(ErrorCode::INSUFFICIENT_CAPACITY));
        }
        let family = self.family(message)?;
        let of_network = network(client.remote.ip());
        let participant = signer.bearer.participant;
        let has = |count: Option<&usize>| count.copied().unwrap_or(0);
        if has(self.of_participant.get(&participant)) >= TURN_OF_PARTICIPANT
            || has(self.of_network.get(&of_network)) >= TURN_OF_ADDRESS
        {
            return Err(Refusal::plain(ErrorCode::ALLOCATION_QUOTA_REACHED));
        }
        if self.allocations.len() >= TURN_ALLOCATIONS {
            return Err(Refusal::plain(ErrorCode::INSUFFICIENT_CAPACITY));
        }
        let relayed = self.free_address(family);
        let owner = Owner {
            participant: participant.clone(),
            username: signer.username,
            key: signer.key,
            made_by: message.transaction_id(),
        };
        self.allocations.insert(*client, Allocation::new(relayed, owner, now.at));
        self.by_relayed.insert(relayed, *client);
        *self.of_participant.entry(participant).or_default() += 1;
        *self.of_network.entry(of_network).or_default() += 1;
        Ok(allocated(message, client, relayed))
    }

    /// Of which family an allocation is: the one that is asked for, or one of which this server's media has an address.
    fn family(&self, message: &Message<'_>) -> Result<Family, Refusal> {
        let not_supported = || Refusal::plain(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED);
        let family = if message.has_attribute(RequestedAddressFamily::TYPE) {
            let asked = message.attribute::<RequestedAddressFamily>().map_err(|_| not_supported())?;
            of_attribute(asked.family())
        } else if self.peers.has_family(Family::V4) {
            Family::V4
        } else {
            Family::V6
        };
        if self.peers.has_family(family) { Ok(family) } else { Err(not_supported()) }
    }

    /// The next port that nobody has: one that was somebody's comes last.
    fn free_address(&mut self, family: Family) -> SocketAddr {
        loop {
            let address = relayed(family, self.next_port);
            self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
            // There are more ports than allocations.
            if !self.by_relayed.contains_key(&address) {
                return address;
            }
        }
    }

    /// The allocation of a client that goes on.
    fn allocation(&mut self, client: &Client, now: Instant) -> Result<&mut Allocation, Refusal> {
        let allocation = self.allocations.get_mut(client).filter(|allocation| !allocation.is_over(now));
        allocation.ok_or_else(|| Refusal::plain(ErrorCode::ALLOCATION_MISMATCH))
    }

    fn refresh(
        &mut self,
        client: &Client,
        message: &Message<'_>,
        now: Instant,
    ) -> Result<MessageWriteVec, Refusal> {
        let allocation = self.allocation(client, now)?;
        if let Ok(asked) = message.attribute::<RequestedAddressFamily>()
            && of_attribute(asked.family()) != Family::of(allocation.relayed.ip())
        {
            return Err(Refusal::plain(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH));
        }
        let ends = message.attribute::<Lifetime>().is_ok_and(|lifetime| lifetime.seconds() == 0);
        let goes_on = !ends && allocation.refresh(now);
        if !goes_on {
            self.remove(client);
        }
        if !goes_on && !ends {
            return Err(Refusal::plain(ErrorCode::ALLOCATION_MISMATCH));
        }
        let mut answer = Message::builder_success(message, MessageWriteVec::new());
        add(&mut answer, &Lifetime::new(if ends { 0 } else { lasts_s() }));
        Ok(answer)
    }

    fn create_permission(
        &mut self,
        client: &Client,
        message: &Message<'_>,
        now: Instant,
    ) -> Result<MessageWriteVec, Refusal> {
        let family = Family::of(self.allocation(client, now)?.relayed.ip());
        let mut peers = Vec::new();
        for (_, attribute) in message.iter_attributes() {
            if attribute.get_type() != XorPeerAddress::TYPE {
                continue;
            }
            let peer = XorPeerAddress::try_from(&attribute);
            let peer =
                peer.map_err(|_| Refusal::plain(ErrorCode::BAD_REQUEST))?.addr(message.transaction_id());
            self.may_reach(family, peer.ip(), self.peers.has(peer.ip()))?;
            peers.push(peer.ip());
        }
        if peers.is_empty() {
            return Err(Refusal::plain(ErrorCode::BAD_REQUEST));
        }
        let allocation = self.allocation(client, now)?;
        if !peers.into_iter().all(|peer| allocation.permit(peer, now)) {
            return Err(Refusal::plain(ErrorCode::INSUFFICIENT_CAPACITY));
        }
        Ok(Message::builder_success(message, MessageWriteVec::new()))
    }

    fn bind_channel(
        &mut self,
        client: &Client,
        message: &Message<'_>,
        now: Instant,
    ) -> Result<MessageWriteVec, Refusal> {
        let family = Family::of(self.allocation(client, now)?.relayed.ip());
        let bad_request = |_| Refusal::plain(ErrorCode::BAD_REQUEST);
        let number = message.attribute::<ChannelNumber>().map_err(bad_request)?.channel();
        let peer = message.attribute::<XorPeerAddress>().map_err(bad_request)?;
        let peer = peer.addr(message.transaction_id());
        self.may_reach(family, peer.ip(), self.peers.local(peer).is_some())?;
        if !CHANNELS.contains(&number) {
            return Err(Refusal::plain(ErrorCode::BAD_REQUEST));
        }
        let allocation = self.allocation(client, now)?;
        allocation.bind(number, peer, now).map_err(|not_bound| match not_bound {
            NotBound::Taken => Refusal::plain(ErrorCode::BAD_REQUEST),
            NotBound::TooMany => Refusal::plain(ErrorCode::INSUFFICIENT_CAPACITY),
        })?;
        if !allocation.permit(peer.ip(), now) {
            return Err(Refusal::plain(ErrorCode::INSUFFICIENT_CAPACITY));
        }
        Ok(Message::builder_success(message, MessageWriteVec::new()))
    }

    /// Whether an allocation of a family may reach an address, which is this server's or not.
    fn may_reach(&self, family: Family, peer: IpAddr, is_own: bool) -> Result<(), Refusal> {
        if Family::of(peer) != family {
            return Err(Refusal::plain(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH));
        }
        if is_own { Ok(()) } else { Err(Refusal::plain(ErrorCode::FORBIDDEN)) }
    }

    fn indication<'b>(
        &mut self,
        client: &Client,
        message: &Message<'_>,
        bytes: &'b [u8],
        now: Instant,
    ) -> Result<Heard<'b>, Dropped> {
        let peer = message.attribute::<XorPeerAddress>().map_err(|_| Dropped::NoTurn)?;
        let peer = peer.addr(message.transaction_id());
        let (offset, data) = message.raw_attribute_and_offset(Data::TYPE).ok_or(Dropped::NoTurn)?;
        let begin = offset + HEADER_BYTES;
        let data = bytes.get(begin..begin + usize::from(data.length())).ok_or(Dropped::NoTurn)?;
        let allocation = self.allocations.get(client).ok_or(Dropped::NoAllocation)?;
        if !allocation.permits(peer.ip(), now) {
            return Err(Dropped::NoPermission);
        }
        self.pass_to_media(client, peer, data, now)
    }

    fn channel_data<'b>(
        &mut self,
        client: &Client,
        bytes: &'b [u8],
        now: Instant,
    ) -> Result<Heard<'b>, Dropped> {
        let (number, len) = ChannelData::parse_header(bytes).map_err(|_| Dropped::NoTurn)?;
        let data = bytes.get(HEADER_BYTES..HEADER_BYTES + len).ok_or(Dropped::NoTurn)?;
        let allocation = self.allocations.get(client).ok_or(Dropped::NoAllocation)?;
        let peer = allocation.peer_of(number, now).ok_or(Dropped::NoPermission)?;
        self.pass_to_media(client, peer, data, now)
    }

    fn pass_to_media<'b>(
        &mut self,
        client: &Client,
        peer: SocketAddr,
        bytes: &'b [u8],
        now: Instant,
    ) -> Result<Heard<'b>, Dropped> {
        let local = self.peers.local(peer).ok_or(Dropped::NoPermission)?;
        let allocation = self.allocations.get_mut(client).ok_or(Dropped::NoAllocation)?;
        if allocation.is_over(now) {
            return Err(Dropped::NoAllocation);
        }
        if !allocation.sends(peer, local, bytes.len(), now) {
            return Err(Dropped::TooMuch);
        }
        Ok(Heard::ToMedia { relayed: allocation.relayed, local, bytes })
    }
}

fn of_attribute(family: AddressFamily) -> Family {
    match family {
        AddressFamily::IPV4 => Family::V4,
        AddressFamily::IPV6 => Family::V6,
    }
}

/// What counts as one address: a customer of IPv6 has a network of 64 bits.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        ip @ IpAddr::V4(_) => ip,
    }
}

fn uncount<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

fn lasts_s() -> u32 {
    u32::try_from(TURN_LASTS.as_secs()).expect("an allocation lasts minutes")
}

fn allocated(message: &Message<'_>, client: &Client, relayed: SocketAddr) -> MessageWriteVec {
    let transaction = message.transaction_id();
    let mut answer = Message::builder_success(message, MessageWriteVec::with_capacity(128));
    add(&mut answer, &XorRelayedAddress::new(relayed, transaction));
    add(&mut answer, &Lifetime::new(lasts_s()));
    add(&mut answer, &XorMappedAddress::new(client.remote, transaction));
    answer
}

/// As it goes on a transport: on a stream it is filled up to four bytes.
fn channel_data(number: u16, bytes: &[u8], transport: Transport) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).expect("a datagram is shorter than 64 kB");
    let mut message = Vec::with_capacity(HEADER_BYTES + bytes.len() + 3);
    message.extend(number.to_be_bytes());
    message.extend(len.to_be_bytes());
    message.extend(bytes);
    if transport == Transport::Stream {
        message.resize(message.len().next_multiple_of(4), 0);
    }
    message
}

fn error(code: u16) -> ErrorCode {
    ErrorCode::builder(code).build().expect("it is a code of STUN")
}

fn add(answer: &mut MessageWriteVec, attribute: &dyn AttributeWrite) {
    answer.add_attribute(attribute).expect("what a server says is short");
}

fn signed(mut answer: MessageWriteVec, key: &IntegrityKey) -> Vec<u8> {
    answer.add_message_integrity_with_key(key, IntegrityAlgorithm::Sha1).expect("it is signed once");
    answer.finish()
}

#[cfg(test)]
mod tests;
