#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const START: u64 = WRITTEN_S + 200 * DAY;

/// A server of years, minute by minute where something happens.
struct Years {
    now: u64,
    certificate: Option<Lifetime>,
    past: Past,
    jitter: f64,
    tries: Vec<u64>,
    issued: Vec<u64>,
}

impl Years {
    fn new(jitter: f64) -> Self {
        let (tries, issued) = (Vec::new(), Vec::new());
        Self { now: START, certificate: None, past: Past::default(), jitter, tries, issued }
    }

    /// Goes on until a time; `answers` says what the ACME server does at a time: a certificate for so long, or a failure.
    fn run(&mut self, until: u64, answers: impl Fn(u64) -> Result<u64, Option<u64>>) {
        while self.now < until {
            self.past.settle(self.now);
            match next(self.certificate, &self.past, self.jitter, self.now) {
                Next::Now => {
                    self.tries.push(self.now);
                    match answers(self.now) {
                        Ok(life) => {
                            self.issued.push(self.now);
                            // Let's Encrypt writes an hour ago.
                            self.certificate = Some(Lifetime {
                                not_before_s: self.now - HOUR,
                                not_after_s: self.now - HOUR + life,
                            });
                            self.past = Past::given(self.now);
                        }
                        Err(retry_after) => self.past.failed(self.now, "refused".into(), retry_after),
                    }
                    self.now += MINUTE;
                }
                Next::At(at) => {
                    assert!(at > self.now);
                    self.now = at.min(until);
                }
                Next::ClockIsWrong => self.now += MINUTE,
            }
        }
    }

    fn is_served(&self) -> bool {
        self.certificate.is_some_and(|one| self.now < one.not_after_s)
    }

    fn most_in(&self, window: u64) -> usize {
        let count = |from: &u64| self.tries.iter().filter(|at| (*from..*from + window).contains(*at)).count();
        self.tries.iter().map(count).max().unwrap_or(0)
    }
}

#[test]
fn ten_years_of_ninety_days_and_of_six_are_renewed_in_time_and_seldom() {
    for (life, renewals) in [(90 * DAY, 58..66), (6 * DAY, 1200..1330), (45 * DAY, 115..130)] {
        for jitter in [0.0, 0.5, 1.0] {
            let mut years = Years::new(jitter);
            for day in 1..3650 {
                years.run(START + day * DAY, |_| Ok(life));
                assert!(years.is_served(), "day {day} of {life}");
            }
            assert!(renewals.contains(&years.issued.len()), "{} of {life}", years.issued.len());
            assert_eq!(years.tries.len(), years.issued.len());
        }
    }
}

#[test]
fn weeks_of_failures_are_survived_while_there_is_time_and_nobody_is_hammered() {
    // Of 90 days 30 are left: four weeks of failures are no harm.
    let mut years = Years::new(0.5);
    let outage = START + 50 * DAY..START + 87 * DAY;
    years.run(START + 100 * DAY, |now| if outage.contains(&now) { Err(None) } else { Ok(90 * DAY) });
    assert!(years.is_served() && years.issued.len() == 2);
    assert!(years.tries.len() < 60, "{} tries", years.tries.len());
    assert!(years.most_in(HOUR) <= 4 && years.most_in(DAY) <= 10);
    // Of 6 days 3 are left: two days of failures are no harm, and it is there within hours.
    let mut years = Years::new(0.5);
    let outage = START + 2 * DAY..START + 5 * DAY;
    years.run(START + 6 * DAY, |now| if outage.contains(&now) { Err(None) } else { Ok(6 * DAY) });
    assert!(years.is_served() && years.issued.len() == 2, "{:?}", years.issued);
    assert!(years.issued[1] < START + 5 * DAY + 5 * HOUR);
}

#[test]
fn a_server_that_never_says_yes_is_asked_a_few_times_a_day() {
    let mut years = Years::new(0.0);
    years.run(START + 365 * DAY, |_| Err(None));
    assert!(years.most_in(HOUR) <= 4, "{}", years.most_in(HOUR));
    assert!(years.tries.len() < 365 * 7, "{}", years.tries.len());
}

#[test]
fn a_program_that_starts_again_and_again_is_no_faster() {
    let mut years = Years::new(0.0);
    for minute in 1..24 * 60 {
        // What is on the disk is all that a start knows.
        let text = serde_json::to_string(&years.past).unwrap();
        years.past = serde_json::from_str(&text).unwrap();
        years.run(START + minute * MINUTE, |_| Err(None));
    }
    assert!(years.most_in(HOUR) <= 4 && years.tries.len() < 14, "{:?}", years.tries);
}

#[test]
fn who_is_told_when_to_come_again_comes_then_and_not_in_years() {
    let mut years = Years::new(0.0);
    years.run(START + 2 * DAY, |now| if now < START + DAY { Err(Some(DAY + HOUR)) } else { Ok(90 * DAY) });
    assert_eq!(years.tries, [START, START + DAY + HOUR]);
    let mut past = Past::default();
    past.failed(START, "refused".into(), Some(u64::MAX));
    assert_eq!(next(None, &past, 0.0, START), Next::At(START + NOT_LATER));
}

#[test]
fn a_clock_that_was_ahead_does_not_stop_it_for_years_nor_hurry_it() {
    let mut past = Past::default();
    let wrong = START + 3000 * DAY;
    past.failed(wrong, "refused".into(), Some(DAY));
    past.settle(START);
    assert_eq!(past.last_failure_s, Some(START));
    assert_eq!(next(None, &past, 0.0, START), Next::At(START + NOT_LATER));
    past.not_until_s = None;
    assert_eq!(next(None, &past, 0.0, START), Next::At(START + 2 * MINUTE));
    past.settle(START + 2 * MINUTE);
    assert_eq!(next(None, &past, 0.0, START + 2 * MINUTE), Next::Now);
}

#[test]
fn a_clock_that_is_ahead_of_every_certificate_uses_up_no_limit() {
    let mut past = Past::default();
    let over = Lifetime { not_before_s: START - 200 * DAY, not_after_s: START - 110 * DAY };
    let mut given = Vec::new();
    for minute in 0..7 * 24 * 60 {
        let now = START + minute * MINUTE;
        past.settle(now);
        if next((!given.is_empty()).then_some(over), &past, 0.0, now) == Next::Now {
            given.push(now);
            past = Past::given(now);
        }
    }
    assert_eq!(given.len(), 5);
    assert_eq!(next(None, &past, 0.0, START + 7 * DAY), Next::Now, "who has lost it needs another one");
}

#[test]
fn a_clock_without_a_battery_asks_nobody_until_it_is_right() {
    let lifetime = Lifetime { not_before_s: START, not_after_s: START + 90 * DAY };
    for now in [0, 1_500_000_000, WRITTEN_S - 1] {
        assert_eq!(next(None, &Past::default(), 0.0, now), Next::ClockIsWrong);
        assert_eq!(next(Some(lifetime), &Past::default(), 0.0, now), Next::ClockIsWrong);
    }
    assert_eq!(next(None, &Past::default(), 0.0, WRITTEN_S), Next::Now);
    // One that is only slow sees a certificate that is not valid yet: it is left alone.
    assert_eq!(next(Some(lifetime), &Past::default(), 0.0, START - DAY), Next::At(START + 60 * DAY));
}

proptest! {
    #[test]
    fn whatever_happens_there_are_at_most_five_tries_in_an_hour_and_trying_never_ends(
        jumps in prop::collection::vec((0_u64..200 * DAY, any::<bool>(), 1_u64..40 * DAY), 1..12),
        life in 5_u64..400,
        fails in prop::collection::vec(any::<bool>(), 1..40),
        jitter in 0.0_f64..1.0,
    ) {
        let mut years = Years::new(jitter);
        let answers = |now: u64| {
            let at = usize::try_from(now / (6 * HOUR)).unwrap_or(0) % fails.len();
            if fails[at] { Err(None) } else { Ok(life * DAY) }
        };
        for (run, is_back, jump) in jumps {
            let before = years.tries.len();
            years.run(years.now + run, answers);
            let tries = &years.tries[before..];
            for (at, from) in tries.iter().enumerate() {
                let in_hour = tries[at..].iter().take_while(|other| **other < from + HOUR).count();
                prop_assert!(in_hour <= 5, "{in_hour} tries in an hour");
            }
            years.now = if is_back { years.now.saturating_sub(jump).max(WRITTEN_S) } else { years.now + jump };
        }
        // Once all is well it is served, after the longest pause at most.
        years.run(years.now + 2 * DAY, |_| Ok(life * DAY));
        prop_assert!(years.is_served());
    }
}
