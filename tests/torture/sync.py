"""Measures a recording of a [`person.Person`] finely: which moment of the person's clock is heard and seen at which time of the file.

    python tests/torture/sync.py FILE [EVENTS [STALLS]]

It prints what it finds as JSON. EVENTS is a JSON list of [`Event`]s; STALLS one of [from, to], when the person itself was held up.

```text
 file       ──────┬──────┬──────┬────────────┬──────►      delay of sound  = time of the file - clock, at each change of the tone
 tones         700 │  800 │  900 │  (silence) │ 1100        delay of pictures = the same, at each picture that is new
 clock            27     28     29           31             in sync: both delays are the same
```
"""

import json
import sys
from dataclasses import asdict, dataclass

import numpy as np

import film
from film import FPS, Unplayable, inside
from person import TICK_S, TONES_HZ

RATE = 8000
WINDOW, HOP = 320, 80
HOP_S = HOP / RATE
# How loud a tone has to be, of 1.
HEARD = 0.02
# What is to be seen and heard again within, in sync again within, after the end of an event.
AGAIN_S, IN_SYNC_S = 0.5, 2.0
# Sound may be so far from its picture: a picture is shown for a fifteenth of a second.
OFF_S = 0.1
# Silence and loss that no event explains: the edges of tones, one packet.
QUIET_S = 0.12
# What an event may cost beyond itself.
COST_S = 0.5


@dataclass
class Event:
    """Something that happened, in the person's clock."""

    what: str
    from_s: float
    to_s: float
    # Sound or pictures that were not there, and so cannot be in the file.
    is_silent: bool = False
    is_still: bool = False
    # Sound that came late, all of it.
    is_late: bool = False
    # By so much everything came later from then on.
    delay_s: float = 0.0


@dataclass
class Measured:
    duration_s: float
    shown: int
    # Of each picture that is new: (time in the file, clock).
    pictures: list
    # Of each tone: (from, to, second of the clock).
    tones: list

    def picture_delay(self, at):
        """Median over half a second on both sides."""
        times = np.array([time for time, _ in self.pictures])
        clocks = np.array([clock for _, clock in self.pictures])
        near = np.abs(times - at) <= 0.5
        if near.sum() < 4:
            return None
        return float(np.median(times[near] - clocks[near]))

    def offsets(self):
        """(clock, by how much the sound is later than the picture, s), at each change from one tone to the next."""
        found = []
        for (_, end, second), (start, _, following) in zip(self.tones, self.tones[1:]):
            if following == second + 1 and start - end < 0.05:
                at = (start + end) / 2
                pictures = self.picture_delay(at)
                if pictures is not None:
                    found.append((following, at - following - pictures))
        return found


def measure(path):
    duration = float(film.probe(path)["format"]["duration"])
    ticks = film.ticks(path)
    known = [(n / FPS, tick * TICK_S) for n, tick in enumerate(ticks) if tick is not None]
    if not known:
        raise Unplayable("it shows nothing of its person")
    pictures = [known[0]] + [now for before, now in zip(known, known[1:]) if now[1] != before[1]]
    measured = Measured(duration, len(ticks), pictures, [])
    measured.tones = name(runs(classes(path)), measured)
    return measured


def classes(path):
    """Every 10 ms the tone that sounds, as its place in TONES_HZ; -1 for silence."""
    raw = film.run("ffmpeg", "-v", "warning", "-i", path, "-map", "0:a", "-ac", "1", "-ar", str(RATE), "-f", "f32le", "-")
    samples = np.concatenate([np.zeros(WINDOW // 2), np.frombuffer(raw, dtype=np.float32), np.zeros(WINDOW // 2)])
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    shape = np.hanning(WINDOW)
    waves = np.exp(-2j * np.pi * np.outer(np.arange(WINDOW) / RATE, TONES_HZ))
    strengths = np.abs((windows * shape) @ waves) * 2 / shape.sum()
    return np.where(strengths.max(axis=1) > HEARD, strengths.argmax(axis=1), -1)


def runs(found):
    """(from, to, tone) of each; what is shorter than two windows is the edge of something."""
    edges = np.flatnonzero(np.diff(found)) + 1
    starts, ends = np.concatenate([[0], edges]), np.concatenate([edges, [len(found)]])
    return [(float(start * HOP_S), float(end * HOP_S), int(found[start])) for start, end in zip(starts, ends) if end - start >= 3 and found[start] >= 0]


def name(tones, measured):
    """Which second each tone is: the one of its kind that is nearest to what is seen then."""
    times = np.array([time for time, _ in measured.pictures])
    clocks = np.array([clock for _, clock in measured.pictures])
    named = []
    for start, end, tone in tones:
        at = (start + end) / 2
        nearest = int(np.abs(times - at).argmin())
        clock = at - (times[nearest] - clocks[nearest])
        second = round((clock - 0.5 - tone) / len(TONES_HZ)) * len(TONES_HZ) + tone
        if named and named[-1][2] == second and start - named[-1][1] < 0.05:
            named[-1] = (named[-1][0], end, second)
        else:
            named.append((start, end, second))
    return named


@dataclass
class Verdict:
    # What is wrong, in words.
    problems: list
    # The longest silence or still beyond its event, the worst offset of sound from picture outside of events, and what is
    # nowhere to be heard, s.
    hole_s: float = 0.0
    still_s: float = 0.0
    off_s: float = 0.0
    missing_s: float = 0.0


def look(path, expected, stalls, events):
    """As [`film.look`], where what happened is known to a hundredth of a second."""
    measured = measure(path)
    duration = film.check_length(path, measured.shown, expected)
    verdict = judge(measured, events, stalls)
    if verdict.problems:
        raise Unplayable("; ".join(verdict.problems[:8]))
    quiet = stalls + [(event.from_s, event.to_s) for event in events if event.is_still]
    delay_s = sum(event.delay_s for event in events)
    lost_s = film.lost_at_end(measured.pictures[-1][1], expected, quiet, max(0.0, delay_s))
    return film.Found(duration, lost_s, verdict.still_s, True, verdict.hole_s, verdict.off_s, verdict.missing_s)


def judge(measured, events, excused=()):
    """Whether everything is there, in its place and in sync, except for what `events` explain and what is `excused` (intervals of the clock)."""
    verdict = Verdict([])
    check_order(measured, verdict)
    check_silence(measured, events, excused, verdict)
    check_stills(measured, events, excused, verdict)
    check_content(measured, events, excused, verdict)
    check_sync(measured, events, excused, verdict)
    return verdict


def check_order(measured, verdict):
    for (at, clock), (_, following) in zip(measured.pictures, measured.pictures[1:]):
        if following < clock:
            verdict.problems.append(f"at {at:.2f} s the picture goes back from {clock:.2f} to {following:.2f}")
    for (_, at, second), (_, _, following) in zip(measured.tones, measured.tones[1:]):
        if following < second:
            verdict.problems.append(f"at {at:.2f} s the sound goes back from second {second} to {following}")


def delay_near(measured, at):
    """Of sound, where a tone changes near by; else of pictures."""
    return measured.picture_delay(at) or measured.pictures[0][0] - measured.pictures[0][1]


def spans(events, which):
    """When something may be missing, in the person's clock."""
    return [(event.from_s, event.to_s + event.delay_s) for event in events if which(event)]


def beyond(start, end, allowed):
    """How much of a hole from `start` to `end` (of the clock) no event explains."""
    for begin, stop in allowed:
        if begin - 0.3 <= start <= stop + AGAIN_S:
            return max(0.0, end - max(stop, start))
    return end - start


def check_silence(measured, events, excused, verdict):
    edge = 0.6
    allowed = spans(events, lambda event: event.is_silent or event.is_late or event.delay_s > 0) + list(excused)
    sounding = [(start, end) for start, end, _ in measured.tones]
    times = [(0.0, measured.pictures[0][0])] + sounding + [(measured.duration_s, measured.duration_s)]
    for (_, end), (start, _) in zip(times, times[1:]):
        start, end = min(start, measured.duration_s - edge), max(end, edge)
        if start - end <= QUIET_S:
            continue
        delay = delay_near(measured, end)
        hole = beyond(end - delay, start - delay, allowed)
        verdict.hole_s = max(verdict.hole_s, hole)
        is_event = any(begin - 0.3 <= end - delay <= stop + AGAIN_S for begin, stop in allowed)
        if hole > (AGAIN_S if is_event else QUIET_S):
            verdict.problems.append(f"it is silent from {end:.2f} to {start:.2f} s, {hole:.2f} s of which nothing explains")


def check_stills(measured, events, excused, verdict):
    allowed = spans(events, lambda event: event.is_still or event.delay_s > 0) + list(excused)
    ends = measured.pictures + [(measured.duration_s, measured.pictures[-1][1])]
    for (at, clock), (following, _) in zip(ends, ends[1:]):
        if following - at <= film.STILL_S:
            continue
        delay = at - clock
        still = beyond(at - delay, following - delay, allowed)
        verdict.still_s = max(verdict.still_s, still)
        if still > film.STILL_S + 0.1:
            verdict.problems.append(f"it stands still from {at:.2f} to {following:.2f} s, {still:.2f} s of which nothing explains")


def check_content(measured, events, excused, verdict):
    """Every second is heard as long as it was spoken, but for what each event may cost."""
    first, last = int(measured.pictures[0][1]) + 2, int(measured.pictures[-1][1]) - 2
    silent = [(event.from_s, event.to_s) for event in events if event.is_silent] + list(excused)
    for second in range(first, last + 1):
        heard = sum(end - start for start, end, named in measured.tones if named == second)
        unsaid = sum(max(0.0, min(stop, second + 1) - max(begin, second)) for begin, stop in silent)
        missing = 1 - heard - unsaid
        if missing > 0.05:
            verdict.missing_s += missing
    allowed = QUIET_S + COST_S * len(events) + 0.2 * len(excused)
    if verdict.missing_s > allowed:
        verdict.problems.append(f"{verdict.missing_s:.2f} s of what was said are nowhere to be heard")


def check_sync(measured, events, excused, verdict):
    unsettled = [(event.from_s - 0.5, event.to_s + event.delay_s + IN_SYNC_S) for event in events]
    unsettled += [(start - 0.5, stop + IN_SYNC_S) for start, stop in excused]
    for second, off in measured.offsets():
        if inside(second, unsettled):
            continue
        verdict.off_s = max(verdict.off_s, abs(off))
        if abs(off) > OFF_S:
            verdict.problems.append(f"at second {second} of the clock the sound is {off:+.2f} s from its picture")


def main():
    measured = measure(sys.argv[1])
    events = [Event(**event) for event in json.loads(sys.argv[2])] if len(sys.argv) > 2 else []
    stalls = json.loads(sys.argv[3]) if len(sys.argv) > 3 else []
    verdict = judge(measured, events, stalls)
    offsets = [(second, round(off, 3)) for second, off in measured.offsets()]
    tones = [(round(start, 2), round(end, 2), second) for start, end, second in measured.tones]
    told = {**asdict(verdict), "duration_s": measured.duration_s, "offsets": offsets, "tones": tones}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
