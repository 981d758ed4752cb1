//! The address under which the program is reached.

use std::net::SocketAddr;

/// What a person opens: `localhost` for a loopback or unspecified address, the address itself otherwise.
pub(crate) fn page(bound: SocketAddr) -> String {
    if bound.ip().is_loopback() || bound.ip().is_unspecified() {
        format!("http://localhost:{}", bound.port())
    } else {
        format!("http://{bound}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_what_can_be_opened() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(page(at("127.0.0.1:6080")), "http://localhost:6080");
        assert_eq!(page(at("0.0.0.0:1")), "http://localhost:1");
        assert_eq!(page(at("10.1.2.3:4")), "http://10.1.2.3:4");
    }
}
