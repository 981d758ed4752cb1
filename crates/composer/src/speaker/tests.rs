#![allow(clippy::unwrap_used)]
use super::*;

const MS: u64 = 1_000_000;

/// Feeds `(from_ms, [(name, level)])` and gives back who is chosen at each of `asked`.
fn chosen(levels: &[(u64, &[(&str, f32)])], asked: &[u64]) -> Vec<String> {
    let (mut choice, mut answers) = (SpeakerChoice::default(), Vec::new());
    let mut levels = levels.iter().peekable();
    for ms in (0..=*asked.iter().max().unwrap()).step_by(20) {
        while let Some((at, speakers)) = levels.next_if(|(at, _)| *at <= ms) {
            let speakers: Vec<_> = speakers
                .iter()
                .map(|(name, level)| Speaker { participant: (*name).into(), level: *level })
                .collect();
            choice.levels(at * MS, &speakers, |participant| participant.as_str() != "ghost");
        }
        choice.advance(ms * MS);
        if asked.contains(&ms) {
            answers.push(choice.chosen().map(ToString::to_string).unwrap_or_default());
        }
    }
    answers
}

#[test]
fn the_first_voice_is_chosen_at_once() {
    assert_eq!(chosen(&[(100, &[("ann", 0.2)])], &[80, 100]), ["", "ann"]);
}

#[test]
fn whoever_speaks_on_after_another_is_chosen_without_further_facts() {
    let facts: &[(u64, &[(&str, f32)])] = &[(0, &[("ann", 0.5)]), (4000, &[("bob", 0.3)])];
    assert_eq!(chosen(facts, &[4000, 4580, 4600, 9000]), ["ann", "ann", "bob", "bob"]);
}

#[test]
fn a_cough_changes_nothing() {
    let facts: &[(u64, &[(&str, f32)])] = &[
        (0, &[("ann", 0.5)]),
        (4000, &[("bob", 0.9)]),
        (4400, &[]),
        (8000, &[("bob", 0.9)]),
        (8500, &[("ann", 0.5)]),
    ];
    assert_eq!(chosen(facts, &[4400, 6000, 8500, 12000]), ["ann"; 4]);
}

#[test]
fn somebody_who_speaks_is_only_replaced_by_much_louder_for_long() {
    let both = |level: f32| [("ann", 0.4), ("bob", level)];
    assert_eq!(chosen(&[(0, &[("ann", 0.4)]), (3000, &both(0.5))], &[20_000]), ["ann"]);
    assert_eq!(chosen(&[(0, &[("ann", 0.4)]), (3000, &both(0.7))], &[4980, 5000]), ["ann", "bob"]);
}

#[test]
fn nobody_is_replaced_soon_after_being_chosen() {
    let facts: &[(u64, &[(&str, f32)])] = &[(0, &[("ann", 0.5)]), (500, &[("bob", 0.5)])];
    assert_eq!(chosen(facts, &[1980, 2000]), ["ann", "bob"]);
}

#[test]
fn strangers_and_nonsense_do_not_count() {
    let facts: &[(u64, &[(&str, f32)])] =
        &[(0, &[("ghost", 0.9), ("ann", 0.1)]), (3000, &[("bob", f32::NAN), ("cat", 0.0)])];
    assert_eq!(chosen(facts, &[0, 9000]), ["ann", "ann"]);
}

#[test]
fn when_the_chosen_one_leaves_the_one_before_is_back() {
    let mut choice = SpeakerChoice::default();
    let says = |name: &str| [Speaker { participant: name.into(), level: 0.5 }];
    choice.levels(0, &says("ann"), |_| true);
    assert!(choice.advance(0));
    choice.levels(5000 * MS, &says("bob"), |_| true);
    assert!(choice.advance(6000 * MS));
    assert!(choice.rank(&"bob".into()) > choice.rank(&"ann".into()) && choice.rank(&"cat".into()) == 0);
    choice.left(&"bob".into());
    assert_eq!(choice.chosen(), Some(&"ann".into()));
    choice.levels(7000 * MS, &says("cat"), |_| true);
    assert!(choice.advance(7000 * MS), "nobody is being replaced");
    assert_eq!(choice.chosen(), Some(&"cat".into()));
}
