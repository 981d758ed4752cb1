//! When an ACME server is asked for a certificate. A function of time: no clock, no randomness, no disk.
//!
//! ```text
//!   not_before                            2/3 of its life      not_after
//!   ├───────────────────────────────────────┬──────────────────┤
//!        nobody is asked              jitter│ asked, and after a failure again: minutes, hours, a day
//!                                           └─ half of it, where it lives for 10 days or less
//! ```
//!
//! # Invariants
//!
//! - Never more than five tries in an hour, whatever fails: Let's Encrypt lets an account fail five times in an hour for a name, and then nobody
//!   gets in for hours.
//! - What was tried is known after a restart, so that a program that starts again and again is no faster than one that runs.
//! - A clock that jumps neither stops trying for good nor makes it try at once and for ever: a time that is later than now was told by a clock
//!   that was wrong, and counts as now.
//! - Who has been given a certificate asks for no other one for a day and a half, whatever the clock makes of it: Let's Encrypt gives five of the
//!   same name in a week.
//! - A clock that shows a time before this program was written is wrong, and nobody is asked by it.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

use serde::{Deserialize, Serialize};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// 1 January 2026: this program is not older than that.
const WRITTEN_S: u64 = 1_767_225_600;
/// How long the first failure, the second one, … are waited for.
const PAUSES: [u64; 8] =
    [2 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 24 * HOUR];
/// A server that says when to come again is believed so far: nobody's bounds are longer than a week.
const NOT_LATER: u64 = 7 * DAY;
/// How long nobody is asked after a certificate was given: a clock that is ahead sees one that is over.
const NOT_SOONER: u64 = 36 * HOUR;
/// What lives for so long or less is renewed at half of its life.
const SHORT_LIFE: u64 = 10 * DAY;

/// From when until when a certificate is taken, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Before that it is not.
    pub not_before_s: u64,
    /// After that it is not.
    pub not_after_s: u64,
}

/// What became of the tries since the last certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Past {
    /// How many failed, one after the other.
    pub failures: u32,
    /// When the last one did, in Unix seconds.
    pub last_failure_s: Option<u64>,
    /// Before that the server does not want to be asked, in Unix seconds.
    pub not_until_s: Option<u64>,
    /// What the last one failed of.
    pub why: Option<String>,
    /// When the certificate was given that there is, in Unix seconds.
    pub given_s: Option<u64>,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask.
    Now,
    /// Ask at that time, in Unix seconds, and not before.
    At(u64),
    /// Wait for a clock that is right.
    ClockIsWrong,
}

impl Past {
    /// Nothing but that a certificate was given.
    pub fn given(now_s: u64) -> Self {
        Self { given_s: Some(now_s), ..Self::default() }
    }

    /// Corrects what a clock has told that was ahead.
    pub fn settle(&mut self, now_s: u64) {
        for at in [&mut self.last_failure_s, &mut self.given_s].into_iter().flatten() {
            *at = (*at).min(now_s);
        }
        if let Some(until) = &mut self.not_until_s {
            *until = (*until).min(now_s + NOT_LATER);
        }
    }

    /// Notes that a try failed, and after how many seconds the server wants to be asked again, if it says so.
    pub fn failed(&mut self, now_s: u64, why: String, retry_after_s: Option<u64>) {
        self.failures = self.failures.saturating_add(1);
        self.last_failure_s = Some(now_s);
        self.not_until_s = retry_after_s.map(|after| now_s + after.min(NOT_LATER));
        self.why = Some(why);
    }
}

/// Whether a clock can be right.
pub fn is_sane(now_s: u64) -> bool {
    now_s >= WRITTEN_S
}

/// What to do at a time, with the certificate that there is, and `jitter` from 0 to 1, which is the same for one certificate.
///
/// `past` has to be settled.
pub fn next(certificate: Option<Lifetime>, past: &Past, jitter: f64, now_s: u64) -> Next {
    if !is_sane(now_s) {
        return Next::ClockIsWrong;
    }
    let given = past.given_s.map_or(0, |given| given + NOT_SOONER);
    // Who has lost it needs another one.
    let due = certificate.map_or(0, |lifetime| due(lifetime, jitter).max(given));
    let after_failure =
        past.last_failure_s.map_or(0, |last| last + pause(past.failures, certificate, jitter, last));
    let at = due.max(after_failure).max(past.not_until_s.unwrap_or(0));
    if at <= now_s { Next::Now } else { Next::At(at) }
}

/// When a certificate is renewed.
fn due(lifetime: Lifetime, jitter: f64) -> u64 {
    let life = lifetime.not_after_s.saturating_sub(lifetime.not_before_s);
    let share = if life <= SHORT_LIFE { life / 2 } else { life / 3 * 2 };
    lifetime.not_before_s + share - part(life / 30, jitter).min(share)
}

/// How long is waited after a failure.
fn pause(failures: u32, certificate: Option<Lifetime>, jitter: f64, last_s: u64) -> u64 {
    let at = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX).min(PAUSES.len() - 1);
    let left = certificate.map_or(0, |lifetime| lifetime.not_after_s.saturating_sub(last_s));
    // The less time there is left, the sooner; nobody waits for a day whose page does not open.
    let most = (left / 8).clamp(4 * HOUR, DAY);
    // While one works there is no hurry.
    let least = if left > DAY { 15 * MINUTE } else { 0 };
    let pause = PAUSES[at].clamp(least, most);
    pause + part(pause / 10, jitter)
}

fn part(of: u64, jitter: f64) -> u64 {
    // Some seconds more or less are what it is for.
    (of as f64 * jitter.clamp(0.0, 1.0)) as u64
}

#[cfg(test)]
mod tests;
