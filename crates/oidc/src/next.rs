//! Where somebody was going who has to sign in first. Pure.
//!
//! # Invariants
//!
//! - It is a place of this server, whatever somebody wrote into a link: a path that no browser takes for another host's.
//! - It does not lead back into signing in.

use reelroom_limits::accounts::OIDC_NEXT_BYTES;

const OTHERWISE: &str = "/owner";
const SIGNING_IN: &str = "/owner/oidc";

/// A path of this server, with its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next(String);

impl Next {
    /// What somebody asked for, or else the owner's page.
    pub fn of(asked: Option<&str>) -> Self {
        Self(asked.filter(|path| is_own(path)).unwrap_or(OTHERWISE).to_owned())
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_own(path: &str) -> bool {
    path.len() <= OIDC_NEXT_BYTES
        && path.starts_with('/')
        && !path.starts_with("//")
        && !path.starts_with(SIGNING_IN)
        // Browsers read "\" as "/", and leave out tabs and line ends.
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_host_or_in_circles() {
        for path in
            ["/", "/owner", "/recordings.html?roomName=R%C3%A4ume&q=a+b", "/?room=Test%20Room", "/a//b"]
        {
            assert_eq!(Next::of(Some(path)).as_str(), path);
        }
        for path in [
            "",
            "owner",
            "//evil.example.org",
            "///evil.example.org",
            "/\\evil.example.org",
            "\\\\evil.example.org",
            "/\t/evil.example.org",
            "/\n/evil.example.org",
            "https://evil.example.org/",
            "javascript:alert(1)",
            "/a b",
            "/ä",
            "/owner/oidc",
            "/owner/oidc/back?code=1",
            &format!("/{}", "a".repeat(OIDC_NEXT_BYTES)),
        ] {
            assert_eq!(Next::of(Some(path)).as_str(), "/owner", "{path:?}");
        }
        assert_eq!(Next::of(None).as_str(), "/owner");
    }
}
