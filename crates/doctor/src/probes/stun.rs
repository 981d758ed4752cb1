//! STUN (RFC 8489) as far as it is needed here: a binding request, and the address that its answer says. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const MAGIC: u32 = 0x2112_a442;
const HEAD_BYTES: usize = 20;
const REQUEST: u16 = 0x0001;
const SUCCESS: u16 = 0x0101;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
/// Of servers that are older than RFC 5389.
const MAPPED_ADDRESS: u16 = 0x0001;

/// Tells a request and its answer from all others.
pub(crate) type Transaction = [u8; 12];

/// A binding request.
pub(crate) fn request(transaction: Transaction) -> Vec<u8> {
    head(REQUEST, 0, transaction)
}

/// The transaction of a binding request.
pub(crate) fn is_request(datagram: &[u8]) -> Option<Transaction> {
    parts(datagram).filter(|(kind, ..)| *kind == REQUEST).map(|(_, transaction, _)| transaction)
}

/// The answer to a request that came from an address.
pub(crate) fn answer(transaction: Transaction, from: SocketAddr) -> Vec<u8> {
    let mut value = vec![0, if from.is_ipv4() { 1 } else { 2 }];
    value.extend_from_slice(&(from.port() ^ (MAGIC >> 16) as u16).to_be_bytes());
    match from.ip() {
        IpAddr::V4(ip) => value.extend(xored(&ip.octets(), transaction)),
        IpAddr::V6(ip) => value.extend(xored(&ip.octets(), transaction)),
    }
    let mut datagram = head(SUCCESS, 4 + value.len() as u16, transaction);
    datagram.extend_from_slice(&XOR_MAPPED_ADDRESS.to_be_bytes());
    datagram.extend_from_slice(&(value.len() as u16).to_be_bytes());
    datagram.extend_from_slice(&value);
    datagram
}

/// The address that the answer to this transaction says; none for what is no such answer.
pub(crate) fn mapped(datagram: &[u8], transaction: Transaction) -> Option<SocketAddr> {
    let (kind, found, mut rest) = parts(datagram)?;
    if kind != SUCCESS || found != transaction {
        return None;
    }
    let mut plain = None;
    while let [a, b, c, d, behind @ ..] = rest {
        let (attribute, length) = (u16::from_be_bytes([*a, *b]), usize::from(u16::from_be_bytes([*c, *d])));
        let value = behind.get(..length)?;
        match attribute {
            XOR_MAPPED_ADDRESS => return address(value, Some(transaction)),
            MAPPED_ADDRESS => plain = address(value, None),
            _ => {}
        }
        // Each is filled up to four bytes.
        rest = behind.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    plain
}

fn head(kind: u16, length: u16, transaction: Transaction) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(HEAD_BYTES + usize::from(length));
    datagram.extend_from_slice(&kind.to_be_bytes());
    datagram.extend_from_slice(&length.to_be_bytes());
    datagram.extend_from_slice(&MAGIC.to_be_bytes());
    datagram.extend_from_slice(&transaction);
    datagram
}

/// Kind, transaction and attributes.
fn parts(datagram: &[u8]) -> Option<(u16, Transaction, &[u8])> {
    let (head, rest) = datagram.split_first_chunk::<HEAD_BYTES>()?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let is_stun = head[4..8] == MAGIC.to_be_bytes();
    let transaction = head[8..].try_into().ok()?;
    is_stun.then_some((u16::from_be_bytes([head[0], head[1]]), transaction, rest.get(..length)?))
}

fn address(value: &[u8], xor: Option<Transaction>) -> Option<SocketAddr> {
    let [_, family, a, b, ip @ ..] = value else { return None };
    let port = u16::from_be_bytes([*a, *b]);
    let (port, ip) = match xor {
        Some(transaction) => (port ^ (MAGIC >> 16) as u16, xored(ip, transaction)),
        None => (port, ip.to_vec()),
    };
    let ip: IpAddr = match family {
        1 => Ipv4Addr::from(<[u8; 4]>::try_from(ip).ok()?).into(),
        2 => Ipv6Addr::from(<[u8; 16]>::try_from(ip).ok()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn xored(ip: &[u8], transaction: Transaction) -> Vec<u8> {
    let mask = MAGIC.to_be_bytes().into_iter().chain(transaction);
    ip.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5769, 2.2 and 2.3: what others answer.
    const TRANSACTION: Transaction = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

    fn answer_with(attributes: &[u8]) -> Vec<u8> {
        let mut datagram = head(SUCCESS, attributes.len() as u16, TRANSACTION);
        datagram.extend_from_slice(attributes);
        datagram
    }

    #[test]
    fn the_answers_of_the_rfc_are_read() {
        let software = b"\x80\x22\x00\x0btest vector\x20".as_slice();
        let v4 = b"\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43".as_slice();
        let datagram = answer_with(&[software, v4].concat());
        assert_eq!(mapped(&datagram, TRANSACTION), Some("192.0.2.1:32853".parse().unwrap()));
        let v6 = b"\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9".as_slice();
        let datagram = answer_with(&[software, v6].concat());
        let expected = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
        assert_eq!(mapped(&datagram, TRANSACTION), Some(expected));
    }

    #[test]
    fn what_is_answered_here_is_read_here_and_nothing_else_is() {
        for from in ["203.0.113.7:41000", "[2001:db8::7]:7882"] {
            let from = from.parse().unwrap();
            let asked = is_request(&request(TRANSACTION)).unwrap();
            let datagram = answer(asked, from);
            assert_eq!(mapped(&datagram, TRANSACTION), Some(from));
            assert_eq!(mapped(&datagram, [0; 12]), None, "another request's");
            for end in 0..datagram.len() {
                assert_eq!(mapped(&datagram[..end], TRANSACTION), None);
            }
            assert_eq!(is_request(&datagram), None);
        }
        assert_eq!(mapped(&request(TRANSACTION), TRANSACTION), None);
    }
}
