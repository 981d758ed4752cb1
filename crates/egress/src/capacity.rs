//! How many recordings this machine can capture at once, from what those that run cost. Pure but for [`processor_time`].
//!
//! ```text
//!  samples, twice a second ─► cost of one recording ─► how many of these fit ─► the least of the last seconds ─► Estimate
//!                             processor, disk space, disk speed
//! ```
//!
//! Composers do not count: they run at low priority and may lag. Calls do count, because every recorded room has one. The cost of all
//! calls together gives two costs: that of recording a call that goes on already, and that of a new call with its recording. Until a
//! call was measured a cost is assumed.
//!
//! Invariant: what processor and disk speed allow falls at once, and rises only when it was higher for a while, so that a refusal and
//! a start do not alternate. Space that becomes free counts at once.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use reelroom_take::DiskUse;
use rustix::time::{ClockId, clock_gettime};

/// Costs are averages over this time.
const WINDOW: Duration = Duration::from_secs(10);
/// Costs of a shorter time are not trusted.
const MIN_WINDOW: Duration = Duration::from_secs(3);
/// Two people at 1.7 Mbit/s each.
const ASSUMED_BYTES_PER_S: f64 = 430_000.0;
/// Their call included.
const ASSUMED_CORES: f64 = 0.05;
/// What a recorded call costs beside one that is not; `bench/load.py` finds 1.3 to 1.5.
const RECORDED: f64 = 1.5;
/// A recording counts at least this much, however calm it is now: a participant may unmute.
const LEAST_BYTES_PER_S: f64 = 50_000.0;
const LEAST_CORES: f64 = 0.005;
/// Beside the take its MP4 is made.
const FILES: f64 = 2.0;
/// A recording begins only if it and all others have room for this long.
const ROOM_FOR: Duration = Duration::from_secs(5 * 60);
/// Of all processors, what this program may use without its calls suffering.
const USABLE: f64 = 0.8;
/// Each take syncs once in a second. If a sync takes this long on average, there is no time for more of them.
const SLOW_SYNC: Duration = Duration::from_millis(500);

/// What was seen at one moment. Counts are of all time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    /// Recordings that capture.
    pub(crate) running: u64,
    /// Rooms in which a participant publishes.
    pub(crate) calls: u64,
    /// Processor time that this program has used.
    pub(crate) processor: Duration,
    pub(crate) disk_use: DiskUse,
    /// Beyond the reserve.
    pub(crate) free_bytes: u64,
}

/// What there is too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Setting,
    DiskSpace { free_mb: u64 },
    DiskSpeed,
    Processor,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting => write!(f, "max_recordings allows no more"),
            Self::DiskSpace { free_mb } => write!(f, "its disk has {free_mb} MB for recordings left"),
            Self::DiskSpeed => write!(f, "its disk cannot follow"),
            Self::Processor => write!(f, "its processors are busy with calls"),
        }
    }
}

/// How many recordings may run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Estimate {
    pub(crate) total: u64,
    pub(crate) bound: Bound,
}

impl Estimate {
    /// Before anything is known.
    pub(crate) const UNKNOWN: Self = Self { total: u64::MAX, bound: Bound::Processor };

    /// With a limit from outside; 0 is none.
    pub(crate) fn at_most(self, limit: u64) -> Self {
        if limit > 0 && limit <= self.total { Self { total: limit, bound: Bound::Setting } } else { self }
    }

    /// Why another one is refused, when `running` run already.
    pub(crate) fn refusal(self, running: u64) -> Option<String> {
        let are = if running == 1 { "1 recording is" } else { &format!("{running} recordings are") };
        (running >= self.total).then(|| {
            format!(
                "the recorder has no room for another recording: {are} running, 0 more fit ({})",
                self.bound
            )
        })
    }
}

/// Follows the samples.
pub(crate) struct Capacity {
    cores: f64,
    samples: VecDeque<Sample>,
    /// Of a call that is not recorded.
    cores_per_call: Option<f64>,
    bytes_each_per_s: Option<f64>,
    /// What was found in the last seconds.
    found: VecDeque<(Instant, Estimate)>,
}

impl Default for Capacity {
    fn default() -> Self {
        Self::of(std::thread::available_parallelism().map_or(1, usize::from))
    }
}

impl Capacity {
    fn of(cores: usize) -> Self {
        Self {
            cores: cores as f64,
            samples: VecDeque::new(),
            cores_per_call: None,
            bytes_each_per_s: None,
            found: VecDeque::new(),
        }
    }

    pub(crate) fn look(&mut self, sample: Sample) -> Estimate {
        let now = sample.at;
        let is_old = |at: Instant| now.saturating_duration_since(at) > WINDOW;
        self.samples.push_back(sample);
        while self.samples.front().is_some_and(|sample| is_old(sample.at)) {
            self.samples.pop_front();
        }
        let (by_space, by_speed) = self.measure();
        self.found.push_back((now, by_speed));
        while self.found.front().is_some_and(|(at, _)| is_old(*at)) {
            self.found.pop_front();
        }
        let found = self.found.iter().map(|(_, estimate)| *estimate);
        let lowest = found.chain([by_space]).min_by_key(|estimate| estimate.total).unwrap_or(by_space);
        // What runs fits: fewer than these would say nothing.
        Estimate { total: lowest.total.max(sample.running), ..lowest }
    }

    /// By the room on the disk, and by the speed of processors and disk.
    fn measure(&mut self) -> (Estimate, Estimate) {
        let (Some(first), Some(last)) = (self.samples.front().copied(), self.samples.back().copied()) else {
            return (Estimate::UNKNOWN, Estimate::UNKNOWN);
        };
        let passed = last.at.saturating_duration_since(first.at);
        let used =
            last.processor.saturating_sub(first.processor).as_secs_f64() / passed.as_secs_f64().max(0.001);
        let running = last.running as f64;
        let is_measured = passed >= MIN_WINDOW && last.running > 0 && first.running == last.running;
        let calls = last.calls.max(last.running);
        let is_steady = first.running == last.running && first.calls == last.calls;
        if passed >= MIN_WINDOW && calls > 0 && is_steady {
            self.cores_per_call = Some(used / (calls as f64 + (RECORDED - 1.0) * running));
        }
        if is_measured {
            let written = (last.disk_use.bytes - first.disk_use.bytes) as f64 / passed.as_secs_f64();
            self.bytes_each_per_s = Some((written / running).max(LEAST_BYTES_PER_S));
        }
        let bytes_each =
            self.bytes_each_per_s.unwrap_or(ASSUMED_BYTES_PER_S) * FILES * ROOM_FOR.as_secs_f64();
        let free_mb = last.free_bytes / 1_000_000;
        let fit = |room: f64, each: f64| (room / each).max(0.0) as u64;
        let by_space =
            Estimate { total: fit(last.free_bytes as f64, bytes_each), bound: Bound::DiskSpace { free_mb } };
        let left = self.cores * USABLE - if passed >= MIN_WINDOW { used } else { 0.0 };
        let recorded_call =
            self.cores_per_call.map_or(ASSUMED_CORES, |call| (RECORDED * call).max(LEAST_CORES));
        // Calls that go on are in `used` already.
        let recording = recorded_call * (1.0 - 1.0 / RECORDED);
        let more = match calls - last.running {
            others if left < others as f64 * recording => fit(left, recording),
            others => others + fit(left - others as f64 * recording, recorded_call),
        };
        // Capturing alone costs next to nothing: one is always tried.
        let by_processor = Estimate { total: (last.running + more).max(1), bound: Bound::Processor };
        let mut by_speed = by_processor;
        let syncs = last.disk_use.syncs - first.disk_use.syncs;
        if is_measured && syncs > 0 {
            let each = (last.disk_use.syncing - first.disk_use.syncing).as_secs_f64() / syncs as f64;
            let slow = SLOW_SYNC.as_secs_f64();
            let total =
                if each < slow { fit(running * slow, each).max(last.running + 1) } else { last.running };
            if total < by_speed.total {
                by_speed = Estimate { total, bound: Bound::DiskSpeed };
            }
        }
        (by_space, by_speed)
    }
}

/// What this program has used so far, its children not counted.
pub(crate) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;

    struct Machine {
        capacity: Capacity,
        sample: Sample,
    }

    impl Machine {
        fn new(cores: usize) -> Self {
            let sample = Sample {
                at: Instant::now(),
                running: 0,
                calls: 0,
                processor: Duration::ZERO,
                disk_use: DiskUse::default(),
                free_bytes: 1000 * GB,
            };
            Self { capacity: Capacity::of(cores), sample }
        }

        /// Lets `running` recordings run for `seconds`; each uses `cores`, and `bytes` and `sync_ms` in every second.
        fn runs(&mut self, seconds: u64, running: u64, cores: f64, bytes: u64, sync_ms: u64) -> Estimate {
            self.sample.running = running;
            self.sample.calls = self.sample.calls.max(running);
            let mut estimate = Estimate::UNKNOWN;
            for _ in 0..seconds * 2 {
                self.sample.at += Duration::from_millis(500);
                self.sample.processor += Duration::from_secs_f64(cores * running as f64 / 2.0);
                self.sample.disk_use.bytes += bytes * running / 2;
                self.sample.disk_use.syncs += running;
                self.sample.disk_use.syncing += Duration::from_millis(sync_ms * running);
                estimate = self.capacity.look(self.sample);
            }
            estimate
        }
    }

    #[test]
    fn what_recordings_cost_says_how_many_fit() {
        let mut machine = Machine::new(2);
        let assumed = machine.runs(5, 0, 0.0, 0, 0);
        assert_eq!(assumed, Estimate { total: 32, bound: Bound::Processor });
        // 1.6 cores for 0.1 each.
        let measured = machine.runs(60, 4, 0.1, 400_000, 2);
        assert_eq!(measured, Estimate { total: 16, bound: Bound::Processor });
        assert_eq!(machine.runs(60, 16, 0.1, 400_000, 2).refusal(15), None);
        let refusal = machine.runs(60, 16, 0.1, 400_000, 2).refusal(16).unwrap();
        assert!(
            refusal.contains("16 recordings are running, 0 more fit") && refusal.contains("processors"),
            "{refusal}"
        );
    }

    #[test]
    fn calls_that_go_on_cost_less_to_record_than_new_ones() {
        let mut machine = Machine::new(2);
        machine.sample.calls = 50;
        // 50 calls need a core: 0.02 each, and recording them 0.01.
        for _ in 0..20 {
            machine.sample.processor += Duration::from_millis(500);
            machine.sample.at += Duration::from_millis(500);
            machine.capacity.look(machine.sample);
        }
        let estimate = machine.capacity.look(machine.sample);
        // 0.6 cores are left: 0.5 for those that go on, and 0.1 for others with their calls.
        assert_eq!(estimate, Estimate { total: 53, bound: Bound::Processor });
        assert!((machine.capacity.cores_per_call.unwrap() - 0.02).abs() < 1e-6);
    }

    #[test]
    fn a_small_disk_and_a_slow_one_bound_it() {
        let mut machine = Machine::new(16);
        machine.sample.free_bytes = GB;
        // 500 kB/s, twice, for five minutes: 300 MB each.
        let estimate = machine.runs(60, 1, 0.01, 500_000, 2);
        assert_eq!(estimate, Estimate { total: 3, bound: Bound::DiskSpace { free_mb: 1000 } });
        assert!(estimate.refusal(3).unwrap().contains("1000 MB"));
        let mut machine = Machine::new(16);
        assert_eq!(machine.runs(60, 2, 0.01, 500_000, 100), Estimate { total: 10, bound: Bound::DiskSpeed });
        assert_eq!(machine.runs(60, 2, 0.01, 500_000, 900), Estimate { total: 2, bound: Bound::DiskSpeed });
    }

    #[test]
    fn space_counts_at_once_and_speed_falls_at_once_and_rises_later() {
        let mut machine = Machine::new(2);
        assert_eq!(machine.runs(60, 2, 0.1, 400_000, 2).total, 16);
        let space = machine.sample.free_bytes;
        machine.sample.free_bytes = 0;
        let fallen = machine.runs(1, 2, 0.1, 400_000, 2);
        assert_eq!(fallen, Estimate { total: 2, bound: Bound::DiskSpace { free_mb: 0 } });
        machine.sample.free_bytes = space;
        assert_eq!(machine.runs(1, 2, 0.1, 400_000, 2).total, 16, "something was deleted");
        assert_eq!(machine.runs(60, 2, 0.1, 400_000, 900).bound, Bound::DiskSpeed);
        assert_eq!(machine.runs(5, 2, 0.1, 400_000, 2).total, 2, "not yet");
        assert_eq!(machine.runs(30, 2, 0.1, 400_000, 2).total, 16);
    }

    #[test]
    fn a_setting_is_a_limit_and_none_is_none() {
        let estimate = Estimate { total: 10, bound: Bound::Processor };
        assert_eq!(estimate.at_most(0), estimate);
        assert_eq!(estimate.at_most(20), estimate);
        let limited = estimate.at_most(1);
        assert_eq!(limited.refusal(0), None);
        assert!(limited.refusal(1).unwrap().contains("1 recording is running, 0 more fit (max_recordings"));
    }

    #[test]
    fn processor_time_passes_with_work() {
        let before = processor_time();
        let mut sum = 0u64;
        while processor_time() < before + Duration::from_millis(5) {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        assert!(sum > 0);
    }
}
