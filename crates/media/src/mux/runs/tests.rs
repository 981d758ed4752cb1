#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::Duration;

use super::*;

fn datagram(to: u16, len: usize) -> Datagram {
    Datagram {
        transport: Transport::Udp,
        source: SocketAddr::from(([127, 0, 0, 1], 7)),
        destination: SocketAddr::from(([127, 0, 0, 1], to)),
        bytes: (0..len).map(|place| (place + len) as u8).collect(),
    }
}

fn lens(all: &[(u16, usize)]) -> Vec<usize> {
    let all: Vec<_> = all.iter().map(|(to, len)| datagram(*to, *len)).collect();
    let (mut rest, mut lens) = (&all[..], Vec::new());
    while !rest.is_empty() {
        let len = first_run(rest);
        lens.push(len);
        rest = &rest[len..];
    }
    lens
}

#[test]
fn a_run_is_of_one_receiver_and_one_length_but_for_its_end() {
    assert_eq!(first_run(&[]), 0);
    assert_eq!(
        lens(&[(1, 1100), (1, 1100), (1, 1100), (1, 700), (1, 1100), (1, 1100), (2, 1100)]),
        [4, 2, 1]
    );
    assert_eq!(lens(&[(1, 500), (1, 501), (1, 501)]), [1, 2], "a longer one begins another");
    assert_eq!(lens(&[(1, 0), (1, 0), (1, 5), (1, 0)]), [1, 1, 1, 1], "an empty one goes by itself");
    assert_eq!(lens(&[(1, 100); 130]), [64, 64, 2]);
    assert_eq!(lens(&[(1, 1400); 64]), [46, 18], "no longer than a datagram may be");
    let mut by_tcp = [datagram(1, 10), datagram(1, 10)];
    by_tcp[1].transport = Transport::Tcp;
    assert_eq!(first_run(&by_tcp), 1);
    by_tcp[0].transport = Transport::Tcp;
    assert_eq!(first_run(&by_tcp), 1);
}

/// What arrives of datagrams of these lengths.
async fn arrived(sender: &Sender, bind: &str, lens: &[usize]) -> Vec<Vec<u8>> {
    let (from, to) = (UdpSocket::bind(bind).await.unwrap(), UdpSocket::bind(bind).await.unwrap());
    let all: Vec<_> = lens
        .iter()
        .map(|len| Datagram { destination: to.local_addr().unwrap(), ..datagram(0, *len) })
        .collect();
    from.writable().await.unwrap();
    let mut rest = &all[..];
    while !rest.is_empty() {
        let (run, others) = rest.split_at(first_run(rest));
        assert_eq!(sender.send(&from, run), 0);
        rest = others;
    }
    let mut came = Vec::new();
    let mut buffer = [0; 4000];
    while let Ok(received) = tokio::time::timeout(Duration::from_millis(300), to.recv(&mut buffer)).await {
        came.push(buffer[..received.unwrap()].to_vec());
    }
    let sent: Vec<_> = all.into_iter().map(|datagram| datagram.bytes).collect();
    assert_eq!(came, sent);
    came
}

#[tokio::test]
async fn a_run_arrives_as_the_datagrams_that_it_was_made_of() {
    let sender = Sender::default();
    for bind in ["127.0.0.1:0", "[::1]:0"] {
        for lens in
            [&[1100; 30][..], &[1100, 1100, 300], &[1, 1, 1], &[900, 900, 901, 900, 20, 1100], &[3000, 3000]]
        {
            arrived(&sender, bind, lens).await;
        }
    }
    assert!(sender.cuts.load(Ordering::Relaxed), "Linux cuts them");
    let without = Sender { cuts: AtomicBool::new(false), ..Sender::default() };
    arrived(&without, "127.0.0.1:0", &[1100, 1100, 300]).await;
}

#[tokio::test]
async fn what_cannot_be_sent_is_counted() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.writable().await.unwrap();
    let nowhere = |len| Datagram { destination: "[2001:db8::1]:9".parse().unwrap(), ..datagram(0, len) };
    assert_eq!(Sender::default().send(&socket, &[nowhere(9), nowhere(9), nowhere(9)]), 3);
}
