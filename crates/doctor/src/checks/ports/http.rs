//! The port of the page and every API.

use std::net::SocketAddr;

use super::Holder;
use crate::line::{Check, Line};
use crate::trouble::troubles;

troubles! { HttpPort:
    TAKEN = Bad "http-port-taken",
        "Another program listens on the port of the page.",
        "Stop that program (`ss -ltnp` shows it), or choose another port with SERVER_PORT.";
    PRIVILEGED = Warn "http-port-forbidden",
        "The port is below 1024, nobody has it, and the user that runs doctor may not bind it. Whether the server may, is for whoever starts it to say.",
        "Start Reelroom by its systemd unit, which gives it the right (AmbientCapabilities=CAP_NET_BIND_SERVICE); otherwise give the program the right \
         (`setcap cap_net_bind_service=+ep /usr/bin/reelroom`), or choose a port above 1023 with SERVER_PORT.";
    NO_ADDRESS = Bad "http-address-missing",
        "LISTEN names an address that this machine does not have.",
        "Set LISTEN to an address that `ip address` shows, or to 0.0.0.0 for all of them.";
    REFUSED = Bad "http-port-refused",
        "The system refuses the port.",
        "Choose another port with SERVER_PORT, or another address with LISTEN.";
    REDIRECT_TAKEN = Warn "redirect-port-taken",
        "The plain port that leads people to HTTPS, and that a certificate authority asks, cannot be had.",
        "Stop what listens there, or set HTTP_PORT to another port, or to 0 for none.";
}

/// What is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpFacts {
    /// The address and the port.
    pub at: SocketAddr,
    /// Who has it.
    pub holder: Holder,
    /// The same of the plain port that redirects.
    pub redirect: Option<(SocketAddr, Holder)>,
}

/// The verdict.
#[must_use]
pub fn check(facts: &HttpFacts) -> Vec<Line> {
    let HttpFacts { at, holder, redirect } = facts;
    let said = match (at.port(), holder) {
        (0, _) => format!("any free port of {}", at.ip()),
        _ => format!("{at} {holder}"),
    };
    let mut lines = vec![match holder {
        Holder::Nobody | Holder::Server => Line::ok(Check::HttpPort, said),
        Holder::Another(_) => TAKEN.said(said),
        Holder::Forbidden => PRIVILEGED.said(said),
        Holder::NoSuchAddress => NO_ADDRESS.said(said),
        Holder::Refused(_) => REFUSED.said(said),
    }];
    lines.extend(redirect.as_ref().map(|(at, holder)| {
        let said = format!("{at}, which leads to HTTPS, {holder}");
        match holder {
            Holder::Nobody | Holder::Server => Line::ok(Check::HttpPort, said),
            _ => REDIRECT_TAKEN.said(said),
        }
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_the_port_is_named() {
        let of = |holder| {
            let lines = check(&HttpFacts { at: "127.0.0.1:6080".parse().unwrap(), holder, redirect: None });
            (lines[0].code, lines[0].said.clone())
        };
        assert_eq!(of(Holder::Nobody), (None, "127.0.0.1:6080 is free".into()));
        assert_eq!(of(Holder::Server).0, None);
        let (code, said) = of(Holder::Another(Some("nginx (process 812)".into())));
        assert_eq!(
            (code, said.as_str()),
            (Some("http-port-taken"), "127.0.0.1:6080 is taken by nginx (process 812)")
        );
        assert_eq!(of(Holder::Another(None)).0, Some("http-port-taken"));
        assert_eq!(of(Holder::Forbidden).0, Some("http-port-forbidden"));
        assert_eq!(of(Holder::NoSuchAddress).0, Some("http-address-missing"));
        assert_eq!(of(Holder::Refused("x".into())).0, Some("http-port-refused"));
    }

    #[test]
    fn people_come_also_where_nothing_redirects() {
        let at = "0.0.0.0:443".parse().unwrap();
        let redirect = Some(("0.0.0.0:80".parse().unwrap(), Holder::Another(None)));
        let lines = check(&HttpFacts { at, holder: Holder::Nobody, redirect });
        assert_eq!((lines[0].code, lines[1].code), (None, Some("redirect-port-taken")));
    }
}
