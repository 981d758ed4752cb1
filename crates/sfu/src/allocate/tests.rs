use proptest::prelude::*;

use super::*;

const LADDER: [Option<u64>; 3] = [Some(150_000), Some(500_000), Some(1_700_000)];

fn camera() -> Demand {
    Demand {
        kind: Kind::Camera,
        layers: LADDER,
        current: None,
        priority: 0,
        speaks: false,
        pixels: 0,
        may_pause: true,
    }
}

fn choices(budget_kbps: u64, demands: &[Demand]) -> Vec<Option<Layer>> {
    allocate(budget_kbps * 1000, demands).choices
}

#[test]
fn a_line_that_gets_wider_carries_more() {
    for (kbps, layer) in [
        (0, None),
        (160, None),
        (165, Some(Layer::Low)),
        (540, Some(Layer::Low)),
        (550, Some(Layer::Medium)),
        (1860, Some(Layer::Medium)),
        (1870, Some(Layer::High)),
    ] {
        assert_eq!(choices(kbps, &[camera()]), [layer], "at {kbps} kbit/s");
    }
}

#[test]
fn a_screen_share_comes_first_then_everybody_a_little_then_who_is_meant() {
    let screen = Demand { kind: Kind::Screen, layers: [Some(200_000), None, Some(1_000_000)], ..camera() };
    let speaker = Demand { speaks: true, ..camera() };
    let large = Demand { pixels: 1_000_000, ..camera() };
    let pinned = Demand { priority: 9, ..camera() };
    let all = [camera(), large, speaker, pinned, screen];
    let (low, medium, high) = (Some(Layer::Low), Some(Layer::Medium), Some(Layer::High));
    assert_eq!(choices(240, &all), [None, None, None, None, low]);
    assert_eq!(choices(400, &all), [None, None, None, low, low]);
    assert_eq!(choices(900, &all), [low, low, low, low, low]);
    assert_eq!(choices(1760, &all), [low, low, low, low, high], "the share as good as it gets");
    assert_eq!(choices(2200, &all), [low, low, low, medium, high]);
    assert_eq!(choices(2600, &all), [low, low, medium, medium, high]);
    assert_eq!(choices(3000, &all), [low, medium, medium, medium, high]);
    assert_eq!(choices(100_000, &all), [high, high, high, high, high]);
}

#[test]
fn what_may_not_be_paused_is_sent_and_counted() {
    let all = [camera(), Demand { may_pause: false, ..camera() }];
    let none = allocate(0, &all);
    assert_eq!((none.choices, none.used_bps), (vec![None, Some(Layer::Low)], 150_000));
    assert_eq!(choices(310, &all), [None, Some(Layer::Low)]);
    assert_eq!(choices(330, &all), [Some(Layer::Low), Some(Layer::Low)]);
}

#[test]
fn it_says_what_would_be_needed_for_more() {
    let one = allocate(200_000, &[camera()]);
    assert_eq!((one.used_bps, one.next_bps, one.best_bps), (150_000, Some(550_000), 1_700_000));
    let all = allocate(5_000_000, &[camera()]);
    assert_eq!((all.used_bps, all.next_bps), (1_700_000, None));
    assert_eq!(allocate(0, &[]), Allocation::default());
}

#[test]
fn layers_that_are_not_sent_are_left_out() {
    let odd = Demand { layers: [None, Some(400_000), None], ..camera() };
    assert_eq!(choices(1000, &[odd]), [Some(Layer::Medium)]);
    let nothing = Demand { layers: [None; 3], ..camera() };
    assert_eq!(choices(1000, &[nothing]), [None]);
}

fn ladder() -> impl Strategy<Value = [Option<u64>; 3]> {
    let layer = || proptest::option::weighted(0.8, 10_000_u64..3_000_000);
    (layer(), layer(), layer()).prop_map(|(low, medium, high)| [low, medium, high])
}

fn demand() -> impl Strategy<Value = Demand> {
    let kind = prop_oneof![1 => Just(Kind::Screen), 3 => Just(Kind::Camera)];
    let current = proptest::option::of((0_usize..3).prop_map(|place| Layer::ALL[place]));
    (kind, ladder(), current, 0_u32..3, any::<bool>(), 0_u64..3).prop_map(
        |(kind, layers, current, priority, speaks, pixels)| Demand {
            kind,
            layers,
            current,
            priority,
            speaks,
            pixels,
            may_pause: true,
        },
    )
}

fn cost(demands: &[Demand], choices: &[Option<Layer>]) -> u64 {
    demands.iter().zip(choices).map(|(demand, layer)| demand.cost(*layer)).sum()
}

proptest! {
    #[test]
    fn what_is_chosen_fits_and_exists(demands in proptest::collection::vec(demand(), 0..12), budget in 0_u64..20_000_000) {
        let found = allocate(budget, &demands);
        prop_assert!(found.used_bps <= budget);
        prop_assert_eq!(found.used_bps, cost(&demands, &found.choices));
        prop_assert!(found.next_bps.is_none_or(|next| next > budget));
        for (demand, choice) in demands.iter().zip(&found.choices) {
            prop_assert!(choice.is_none_or(|layer| demand.layers[layer.index()].is_some()));
        }
    }

    #[test]
    fn a_single_picture_never_gets_worse_by_more_budget(demand in demand(), budget in 0_u64..4_000_000, more in 0_u64..4_000_000) {
        prop_assert!(choices_of(budget, &[demand]) <= choices_of(budget + more, &[demand]));
    }

    #[test]
    fn among_equals_more_takes_nothing_from_anybody_and_nobody_is_far_ahead(
        layers in ladder().prop_filter("rising", |[low, medium, high]| {
            let known: Vec<u64> = [low, medium, high].into_iter().filter_map(|bps| *bps).collect();
            known.is_sorted()
        }),
        count in 1_usize..12,
        budget in 0_u64..20_000_000,
        more in 0_u64..5_000_000,
    ) {
        let all = vec![Demand { layers, ..camera() }; count];
        let (less, more) = (choices_of(budget, &all), choices_of(budget + more, &all));
        prop_assert!(less.iter().zip(&more).all(|(less, more)| less <= more));
        let steps: Vec<Option<Layer>> =
            std::iter::once(None).chain(Layer::ALL.into_iter().filter(|layer| layers[layer.index()].is_some()).map(Some)).collect();
        let places: Vec<usize> = less.iter().map(|choice| steps.iter().position(|step| step == choice).unwrap()).collect();
        prop_assert!(places.iter().max().unwrap() - places.iter().min().unwrap() <= 1, "{:?}", less);
    }

    /// What was chosen is chosen again while budget and bitrates tremble by some percent.
    #[test]
    fn nothing_flaps_under_noise(
        pixels in proptest::collection::vec(0_u64..3, 1..8),
        budget in 100_000_u64..20_000_000,
        noise in proptest::collection::vec(96_u64..=103, 1..60),
    ) {
        let mut demands: Vec<Demand> = pixels.into_iter().map(|pixels| Demand { pixels, ..camera() }).collect();
        let mut changes = 0;
        let settled = budget * 103 / 100;
        for (round, percent) in [103, 103, 103].into_iter().chain(noise).enumerate() {
            let found = allocate(if round < 3 { settled } else { budget * percent / 100 }, &demands).choices;
            for (demand, choice) in demands.iter_mut().zip(found) {
                changes += usize::from(round >= 3 && demand.current != choice);
                demand.current = choice;
            }
        }
        prop_assert_eq!(changes, 0);
    }
}

fn choices_of(budget_bps: u64, demands: &[Demand]) -> Vec<Option<Layer>> {
    allocate(budget_bps, demands).choices
}
