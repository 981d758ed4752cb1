//! The owner sets a password, signs in with it, and changes it.
//!
//! # Invariants
//!
//! - A password is looked at only after a try was taken from the throttle. A link needs none: nobody guesses it.
//! - A password that is set ends every session and every mark, and begins one of each for whoever set it. API keys go on.
//! - A sign-in that was under way when the password was set comes to nothing.

use rand::CryptoRng;

use crate::error::AccountsError;
use crate::ids::SessionId;
use crate::mark;
use crate::password::{self, KeptPassword};
use crate::secret::{Secret, Shown};
use crate::session::{KeptSession, SessionToken};
use crate::throttle::Who;
use crate::visit::Visit;
use crate::{Accounts, Now};

/// Somebody comes by the link.
#[derive(Clone, Copy)]
pub struct SetPassword<'a> {
    /// What the link has in it.
    pub link: &'a str,
    /// The new password.
    pub password: &'a str,
    /// Where the session begins.
    pub visit: Visit<'a>,
}

/// Somebody says the password.
#[derive(Clone, Copy)]
pub struct SignIn<'a> {
    /// What they say.
    pub password: &'a str,
    /// What their browser kept of the last time, if it was there before: [`SignedIn::mark`].
    pub mark: Option<&'a str>,
    /// Where the session begins.
    pub visit: Visit<'a>,
}

/// Somebody who is signed in changes the password.
#[derive(Clone, Copy)]
pub struct ChangePassword<'a> {
    /// Of their session.
    pub token: &'a SessionToken,
    /// What they say that it is.
    pub old: &'a str,
    /// What it is to be.
    pub new: &'a str,
    /// Where the new session begins.
    pub visit: Visit<'a>,
}

/// A session began.
#[derive(Debug)]
pub struct SignedIn {
    /// Which.
    pub session: SessionId,
    /// For the browser to show at each request.
    pub token: SessionToken,
    /// For the browser to keep beyond the session, and to show when somebody signs in again.
    pub mark: Shown,
    /// Sessions that ended by it: the one that made room, or all others where the password was set.
    pub ended: Vec<SessionId>,
}

/// The owner's password, and what is renewed with it.
#[derive(Clone)]
pub(crate) struct Owner {
    pub(crate) password: KeptPassword,
    pub(crate) mark_key: [u8; 32],
    /// Another one at each password that is set, while this program runs.
    pub(crate) generation: u64,
}

/// What gives the right to set the password.
enum Right {
    Link(String),
    Session(SessionId),
}

impl Accounts {
    /// Whether a password is set.
    pub fn has_password(&self) -> bool {
        self.state().owner.is_some()
    }

    /// Sets the password by a link, which is used up, and signs in. Hashes.
    ///
    /// # Errors
    /// [`AccountsError::LinkGone`]; [`AccountsError::Invalid`], [`AccountsError::Busy`], [`AccountsError::Truth`]: the link can still be used.
    pub fn set_password(
        &self,
        set: SetPassword<'_>,
        now: Now,
        rng: &mut impl CryptoRng,
    ) -> Result<SignedIn, AccountsError> {
        let link = self.link(set.link, now)?;
        password::check(set.password)?;
        self.renew(Right::Link(link), set.password, set.visit, now, rng)
    }

    /// Begins a session for whoever says the password. Hashes.
    ///
    /// # Errors
    /// [`AccountsError::Wrong`], [`AccountsError::TooFast`], [`AccountsError::Busy`], [`AccountsError::NoPassword`],
    /// [`AccountsError::Truth`].
    pub fn sign_in(
        &self,
        sign_in: SignIn<'_>,
        now: Now,
        rng: &mut impl CryptoRng,
    ) -> Result<SignedIn, AccountsError> {
        let owner = self.owner()?;
        let browser = sign_in.mark.and_then(|mark| mark::browser(mark, &owner.mark_key));
        let who = browser.map_or_else(|| Who::stranger(sign_in.visit.asker), Who::Browser);
        self.prove(&owner, sign_in.password, who, now)?;
        let anew = self.hash_anew(&owner, sign_in.password, rng);
        self.begin(Some(&owner), anew, sign_in.visit, now, rng)
    }

    /// Begins a session for whoever is the owner by the word of somebody whom the operator trusts with that, which the caller has
    /// checked. No password is looked at, and none need be set.
    ///
    /// # Errors
    /// [`AccountsError::Truth`].
    pub fn sign_in_by_provider(
        &self,
        visit: Visit<'_>,
        now: Now,
        rng: &mut impl CryptoRng,
    ) -> Result<SignedIn, AccountsError> {
        self.begin(None, None, visit, now, rng)
    }

    /// Changes the password and renews the session; all others end. Hashes twice.
    ///
    /// # Errors
    /// [`AccountsError::SessionOver`], [`AccountsError::Wrong`], [`AccountsError::TooFast`], [`AccountsError::Busy`],
    /// [`AccountsError::Invalid`], [`AccountsError::NoPassword`], [`AccountsError::Truth`]: the password is the one before.
    pub fn change_password(
        &self,
        change: ChangePassword<'_>,
        now: Now,
        rng: &mut impl CryptoRng,
    ) -> Result<SignedIn, AccountsError> {
        let session = self.session(change.token, now).ok_or(AccountsError::SessionOver)?;
        let owner = self.owner()?;
        password::check(change.new)?;
        self.prove(&owner, change.old, Who::Session(session.clone()), now)?;
        self.renew(Right::Session(session), change.new, change.visit, now, rng)
    }

    pub(crate) fn owner(&self) -> Result<Owner, AccountsError> {
        self.state().owner.clone().ok_or(AccountsError::NoPassword)
    }

    /// Whether somebody knows the password.
    fn prove(&self, owner: &Owner, password: &str, who: Who, now: Now) -> Result<(), AccountsError> {
        let taken = self.throttle().take(who, now.at)?;
        let Some(_place) = self.hashing.place() else {
            self.throttle().give_back(taken);
            return Err(AccountsError::Busy);
        };
        if !owner.password.is(password) {
            return Err(AccountsError::Wrong);
        }
        self.throttle().give_back(taken);
        Ok(())
    }

    /// The right password, where it was hashed at another cost than now. Who finds no place for that does it the next time.
    fn hash_anew(&self, owner: &Owner, password: &str, rng: &mut impl CryptoRng) -> Option<KeptPassword> {
        if !owner.password.is_outdated(&self.cost) {
            return None;
        }
        let _place = self.hashing.place()?;
        Some(KeptPassword::new(password, &self.cost, rng))
    }

    /// Begins a session for whoever knew the password of `before`, or else did not need to.
    pub(crate) fn begin(
        &self,
        before: Option<&Owner>,
        anew: Option<KeptPassword>,
        visit: Visit<'_>,
        now: Now,
        rng: &mut impl CryptoRng,
    ) -> Result<SignedIn, AccountsError> {
        let (token, kept) = KeptSession::begin(visit, now, rng);
        let _changing = self.changing();
        let (goes, mark_key) = {
            let state = self.state();
            let owner = state.owner.as_ref();
            if let Some(before) = before
                && owner.is_none_or(|owner| owner.generation != before.generation)
            {
                return Err(AccountsError::Wrong);
            }
            (state.makes_room_for_a_session(now), owner.map(|owner| owner.mark_key))
        };
        // Where no password is set there is none to be wrong about: such a mark is nobody's.
        let mark_key = mark_key.unwrap_or_else(|| *Secret::new(rng).bytes());
        self.truth.begin_session(reelroom_truth::Begin {
            session: &kept.row(),
            instead_of: goes.as_ref().map(|session| session.id.as_str()),
            password: anew.as_ref().map(KeptPassword::as_str),
        })?;
        let session = kept.session.id.clone();
        let mut state = self.state();
        state.sessions.push(kept);
        if let Some(goes) = &goes {
            state.sessions.retain(|kept| kept.session.id != goes.id);
        }
        if let (Some(owner), Some(anew)) = (&mut state.owner, anew) {
            owner.password = anew;
        }
        let ended =
            goes.into_iter().filter(|session| !session.is_over(now)).map(|session| session.id).collect();
        Ok(SignedIn { session, token, mark: mark::make(&mark_key, rng), ended })
    }

    /// Sets the password, and begins the only session that there is afterwards.
    fn renew(
        &self,
        right: Right,
        password: &str,
        visit: Visit<'_>,
        now: Now,
        rng: &mut impl CryptoRng,
    ) -> Result<SignedIn, AccountsError> {
        let password = {
            let _place = self.hashing.place().ok_or(AccountsError::Busy)?;
            KeptPassword::new(password, &self.cost, rng)
        };
        let mark_key = *Secret::new(rng).bytes();
        let (token, kept) = KeptSession::begin(visit, now, rng);
        let _changing = self.changing();
        let generation = {
            let state = self.state();
            // Whoever set the password meanwhile has ended the session, and so may its owner have.
            if let Right::Session(id) = &right
                && !state.sessions.iter().any(|kept| kept.session.id == *id)
            {
                return Err(AccountsError::SessionOver);
            }
            state.owner.as_ref().map_or(0, |owner| owner.generation + 1)
        };
        let owner =
            reelroom_truth::Owner { password: password.as_str().to_owned(), mark_key, set_ms: now.unix_ms };
        let is_set = self.truth.set_password(reelroom_truth::NewPassword {
            owner: &owner,
            by: match &right {
                Right::Link(id) => reelroom_truth::SetBy::Link(id),
                Right::Session(_) => reelroom_truth::SetBy::Password,
            },
            session: &kept.row(),
        })?;
        if !is_set {
            return Err(AccountsError::LinkGone);
        }
        let session = kept.session.id.clone();
        let mut state = self.state();
        let before = std::mem::replace(&mut state.sessions, vec![kept]);
        state.owner = Some(Owner { password, mark_key, generation });
        let ended = before.into_iter().map(|kept| kept.session).filter(|session| !session.is_over(now));
        Ok(SignedIn {
            session,
            token,
            mark: mark::make(&mark_key, rng),
            ended: ended.map(|session| session.id).collect(),
        })
    }
}
