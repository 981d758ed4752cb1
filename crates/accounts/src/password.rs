//! A password as it is kept, and which new ones are taken.
//!
//! # Invariants
//!
//! - Each hash says how it was made: it is checked in that way for as long as it is kept, also after the cost has changed.
//! - A hash that cannot be read is nobody's password; a link sets a new one.

use std::collections::HashSet;

use argon2::password_hash::SaltString;
use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _,
    Version,
};
use rand::CryptoRng;
use reelroom_limits::accounts::{PASSWORD_BYTES, PASSWORD_CHARACTERS, PASSWORD_DIFFERENT_CHARACTERS};

use crate::error::AccountsError;

const SALT_BYTES: usize = 16;

/// What hashing a password costs, by argon2id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost(Params);

impl Cost {
    /// 46 MiB, two passes, one lane: more memory than OWASP's 19 MiB with two passes, and more passes than its 46 MiB with one. Who signs in
    /// does so seldom, and calls that go on meanwhile lose one core for a moment.
    pub const DEFAULT: Self = match Self::new(46 * 1024, 2, 1) {
        Some(cost) => cost,
        None => panic!("argon2 takes the default cost"),
    };

    /// Another cost: KiB of memory, passes over it, lanes in it; `None` where argon2 does not take these.
    pub const fn new(memory_kib: u32, passes: u32, lanes: u32) -> Option<Self> {
        match Params::new(memory_kib, passes, lanes, None) {
            Ok(params) => Some(Self(params)),
            Err(_) => None,
        }
    }

    fn is_of(&self, other: &Params) -> bool {
        let numbers = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
        numbers(&self.0) == numbers(other)
    }
}

/// A password that is kept: a PHC text, `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
#[derive(Clone)]
pub(crate) struct KeptPassword(String);

impl From<String> for KeptPassword {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl KeptPassword {
    /// Hashes it. Slow.
    pub(crate) fn new(password: &str, cost: &Cost, rng: &mut impl CryptoRng) -> Self {
        let mut salt = [0; SALT_BYTES];
        rng.fill_bytes(&mut salt);
        let salt = SaltString::encode_b64(&salt).expect("a salt of 16 bytes has a place in a PHC text");
        let hash = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost.0.clone())
            .hash_password(password.as_bytes(), &salt)
            .expect("argon2 takes every password at a cost that it takes");
        Self(hash.to_string())
    }

    /// Whether it is this one. Slow; the comparison takes the same time whatever it finds.
    pub(crate) fn is(&self, password: &str) -> bool {
        password.len() <= PASSWORD_BYTES
            && PasswordHash::new(&self.0)
                .is_ok_and(|kept| Argon2::default().verify_password(password.as_bytes(), &kept).is_ok())
    }

    /// Whether passwords are hashed in another way by now.
    pub(crate) fn is_outdated(&self, cost: &Cost) -> bool {
        let Ok(kept) = PasswordHash::new(&self.0) else { return true };
        let is_current = kept.algorithm == ARGON2ID_IDENT
            && kept.version == Some(Version::V0x13.into())
            && Params::try_from(&kept).is_ok_and(|params| cost.is_of(&params));
        !is_current
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a new password is taken. Length is what holds guessers off; which kinds of characters are in it is the owner's matter.
///
/// # Errors
/// [`AccountsError::Invalid`].
pub(crate) fn check(password: &str) -> Result<(), AccountsError> {
    if password.len() > PASSWORD_BYTES {
        return Err(AccountsError::Invalid(format!("a password has at most {PASSWORD_BYTES} bytes")));
    }
    if password.chars().count() < PASSWORD_CHARACTERS {
        return Err(AccountsError::Invalid(format!(
            "a password has at least {PASSWORD_CHARACTERS} characters"
        )));
    }
    if password.chars().collect::<HashSet<_>>().len() < PASSWORD_DIFFERENT_CHARACTERS {
        return Err(AccountsError::Invalid(format!(
            "a password has at least {PASSWORD_DIFFERENT_CHARACTERS} different characters"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    fn cheap(passes: u32) -> Cost {
        Cost::new(8, passes, 1).unwrap()
    }

    #[test]
    fn a_password_is_kept_as_argon2id_with_a_salt_of_its_own() {
        let mut rng = StdRng::seed_from_u64(1);
        let kept = KeptPassword::new("correct horse", &Cost::DEFAULT, &mut rng);
        assert!(kept.as_str().starts_with("$argon2id$v=19$m=47104,t=2,p=1$"), "{}", kept.as_str());
        assert!(kept.is("correct horse") && !kept.is("correct hors") && !kept.is(""));
        assert!(!kept.is_outdated(&Cost::DEFAULT));
        let [one, other] = [(), ()].map(|()| KeptPassword::new("correct horse", &cheap(1), &mut rng));
        assert_ne!(one.as_str(), other.as_str());
    }

    #[test]
    fn a_hash_of_another_cost_is_checked_as_it_was_made() {
        let mut rng = StdRng::seed_from_u64(1);
        let kept = KeptPassword::new("correct horse", &cheap(1), &mut rng);
        assert!(kept.is("correct horse"));
        assert!(kept.is_outdated(&cheap(2)) && !kept.is_outdated(&cheap(1)));
        let other_kind = kept.as_str().replace("argon2id", "argon2i");
        assert!(KeptPassword::from(other_kind).is_outdated(&cheap(1)));
    }

    #[test]
    fn a_hash_that_cannot_be_read_is_nobodys_password() {
        let mut rng = StdRng::seed_from_u64(1);
        let whole = KeptPassword::new("correct horse", &cheap(1), &mut rng);
        for end in 0..whole.as_str().len() {
            let cut = KeptPassword::from(whole.as_str()[..end].to_owned());
            assert!(!cut.is("correct horse") && !cut.is(""), "{}", cut.as_str());
        }
    }

    #[test]
    fn short_long_and_monotonous_passwords_are_not_taken() {
        for taken in ["correct horse", "äöüßéèêëñçøå", &"abcde".repeat(PASSWORD_BYTES / 5)] {
            check(taken).unwrap();
        }
        for refused in ["", "eleven char", "äöüßéèêëñçø", "aaaaaaaaaaaa", "abababababababab"] {
            assert!(matches!(check(refused), Err(AccountsError::Invalid(_))), "{refused}");
        }
        let long = "abcdefgh".repeat(PASSWORD_BYTES / 8) + "i";
        assert!(matches!(check(&long), Err(AccountsError::Invalid(_))));
        let mut rng = StdRng::seed_from_u64(1);
        assert!(!KeptPassword::new(&long, &cheap(1), &mut rng).is(&long), "and is never the right one");
    }
}
