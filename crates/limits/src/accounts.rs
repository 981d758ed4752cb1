//! Of who somebody is: the owner's password, sessions, API keys.

use std::time::Duration;

limits! {
    /// Characters of a new password at least; a shorter one is refused.
    pub const PASSWORD_CHARACTERS: usize = 12;
    /// Different characters of a new password at least; one with fewer is refused.
    pub const PASSWORD_DIFFERENT_CHARACTERS: usize = 5;
    /// Bytes of a password; a longer one is refused, and is never the right one.
    pub const PASSWORD_BYTES: usize = 1024;
    /// Passwords that are hashed at once, which takes memory and a processor each; one more is told to ask again.
    pub const HASHES_AT_ONCE: usize = 2;
    /// Of those, passwords of links at once, so that the owner can sign in meanwhile.
    pub const LINK_HASHES_AT_ONCE: usize = 1;
    /// Characters of the password of a link at least; a shorter one is refused. Whoever guesses at it has the link already.
    pub const LINK_PASSWORD_CHARACTERS: usize = 6;
    /// Wrong passwords of an address at once; a program of this machine, which may stand for anybody, has the bound of all strangers alone.
    pub const SIGN_INS_BURST_ADDRESS: u32 = 5;
    /// After how long an address may try one more for good. Who is too fast is told how long to wait.
    pub const SIGN_IN_EVERY_ADDRESS: Duration = Duration::from_secs(120);
    /// Wrong passwords of all addresses together at once, those of browsers in which the owner signed in before excepted.
    pub const SIGN_INS_BURST_STRANGERS: u32 = 30;
    /// After how long all addresses together may try one more for good: at most 90 in any hour.
    pub const SIGN_IN_EVERY_STRANGERS: Duration = Duration::from_secs(60);
    /// Wrong passwords at once of a browser in which the owner signed in before, whatever strangers do.
    pub const SIGN_INS_BURST_KNOWN: u32 = 10;
    /// After how long such a browser may try one more for good.
    pub const SIGN_IN_EVERY_KNOWN: Duration = Duration::from_secs(60);
    /// Addresses whose tries are remembered at a time; while it is full, unknown ones share one place.
    pub const SIGN_IN_ADDRESSES: usize = 4096;
    /// Browsers of the owner whose tries are remembered at a time; while it is full, others share one place.
    pub const SIGN_IN_KNOWN: usize = 256;
    /// How long a link that sets the owner's password lasts, unless a newer one is made.
    pub const OWNER_LINK_LASTS: Duration = Duration::from_secs(24 * 60 * 60);
    /// Sessions of the owner at once; with one more the one that was seen longest ago ends, and whoever signs in is told.
    pub const SESSIONS: usize = 50;
    /// How long a session lasts at most.
    pub const SESSION_LASTS: Duration = Duration::from_secs(30 * 24 * 60 * 60);
    /// How long a session lasts in which nothing is done.
    pub const SESSION_IDLE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
    /// How often it is written down at most when sessions and API keys were seen last.
    pub const SEEN_EVERY: Duration = Duration::from_secs(60);
    /// Bytes of what a browser calls itself that are kept with a session; the rest is cut off.
    pub const USER_AGENT_BYTES: usize = 256;
    /// API keys, those that are over included; with one more the one that has been over for the longest time is forgotten, and where none is
    /// over it is refused.
    pub const API_KEYS: usize = 100;
    /// Bytes of the name of an API key; a longer one is refused.
    pub const API_KEY_NAME_BYTES: usize = 128;
    /// Rights of an API key; more are refused.
    pub const API_KEY_RIGHTS: usize = 64;
    /// Bytes of the name of a right; a longer one is refused.
    pub const API_KEY_RIGHT_BYTES: usize = 64;
    /// How long somebody may take to sign in at an OpenID provider; later they begin again.
    pub const OIDC_SIGN_IN_LASTS: Duration = Duration::from_secs(10 * 60);
    /// Bytes of where somebody goes who has signed in there; with more they come to the owner's page.
    pub const OIDC_NEXT_BYTES: usize = 1024;
    /// Bytes of what a browser keeps of a sign-in that is under way; what is longer is none.
    pub const OIDC_KEPT_BYTES: usize = 3072;
    /// Such sign-ins that are remembered when they have ended; with one more the oldest is forgotten.
    pub const OIDC_FINISHED_REMEMBERED: usize = 1024;
    /// Sign-ins that ask the provider at once; one more is told to try again.
    pub const OIDC_EXCHANGES_AT_ONCE: usize = 8;
    /// Sign-ins of an address that ask the provider at once; with more it is told to try again. Programs of this machine have no such bound.
    pub const OIDC_EXCHANGES_BURST_ADDRESS: u32 = 10;
    /// After how long an address may do so once more for good.
    pub const OIDC_EXCHANGE_EVERY_ADDRESS: Duration = Duration::from_secs(10);
    /// Addresses whose sign-ins there are remembered at a time; while it is full, unknown ones share one place.
    pub const OIDC_ADDRESSES: usize = 1024;
    /// How long the provider may take for an answer; then nobody is signed in.
    pub const OIDC_ANSWER_WITHIN: Duration = Duration::from_secs(5);
    /// Bytes of an answer of the provider; with more nobody is signed in.
    pub const OIDC_ANSWER_BYTES: usize = 256 * 1024;
    /// How long it is believed what the provider says of itself and its keys, unless a signature is none of them.
    pub const OIDC_KEYS_LAST: Duration = Duration::from_secs(60 * 60);
    /// For how long a provider that did not say it is not asked for it again.
    pub const OIDC_ASKED_AGAIN_AFTER: Duration = Duration::from_secs(5);
    /// How far the provider's clock and this machine's may differ.
    pub const OIDC_CLOCK_SKEW: Duration = Duration::from_secs(60);
}
