use super::*;

/// A session and the client that answers its offers.
struct Pair {
    session: Session,
    client: Rtc,
}

impl Pair {
    fn new() -> Self {
        install_crypto();
        let now = Instant::now();
        let addresses = LocalAddresses { udp: vec!["127.0.0.1:7000".parse().unwrap()], tcp: Vec::new() };
        let mut client = Rtc::builder().build(now);
        client.add_local_candidate(Candidate::host("127.0.0.1:7001".parse().unwrap(), "udp").unwrap());
        Self { session: Session::new(&addresses, now), client }
    }

    /// Offers, is answered, and gives the offer and the mids of what was added.
    fn negotiate(&mut self, changes: &Changes) -> (String, Vec<String>) {
        let (sdp, mids) = self.session.offer(changes).unwrap();
        let answer = self.client.sdp_api().accept_offer(SdpOffer::from_sdp_string(&sdp).unwrap()).unwrap();
        self.session.accept_answer(&answer.to_sdp_string()).unwrap();
        (sdp, mids)
    }

    fn ssrc(&mut self, mid: &str) -> u32 {
        *self.session.rtc.direct_api().stream_tx_by_mid(Mid::from(mid), None).unwrap().ssrc()
    }
}

fn add(kind: MediaKind, into: Option<SendSection>) -> Changes {
    Changes { add: vec![NewMedia { kind, into }], ..Changes::default() }
}

#[test]
fn a_stopped_section_begins_again_as_another_stream() {
    for kind in [MediaKind::Audio, MediaKind::Video] {
        let mut pair = Pair::new();
        let (first, mids) = pair.negotiate(&add(kind, None));
        let old = pair.ssrc(&mids[0]);
        let section = || SendSection { mid: mids[0].clone(), kind };
        let (stopped, _) = pair.negotiate(&Changes { stop: vec![section()], ..Changes::default() });
        assert!(stopped.contains("a=inactive"));
        let (again, reused) = pair.negotiate(&add(kind, Some(section())));
        assert_eq!(reused, mids);
        assert_eq!(again.matches("\nm=").count(), first.matches("\nm=").count());
        let new = pair.ssrc(&mids[0]);
        assert_ne!(new, old);
        assert!(again.contains(&format!("a=ssrc:{new} ")) && !again.contains(&format!("a=ssrc:{old} ")));
        assert!(again.contains("a=sendonly") && !again.contains("a=inactive"));
        assert!(!pair.session.payload_types(&mids[0]).is_empty());
    }
}
