"""Looks into a recording: whether it plays, and from when to when it shows and sounds what its person did."""

import json
import subprocess
from dataclasses import dataclass, field

import numpy as np

from person import BITS, MARK, TICK_S, TONES_HZ

FPS = 30
RATE = 8000
WINDOW_S = 0.1
# A picture may stand still for so long: encoders, networks and busy machines take their time.
STILL_S = 0.5
# A picture or tone may come so much earlier or later than it should: the edges of a tone, the jitter of a busy machine.
OFF_S = 0.4
EXACT_S = 0.5
LOST_S = 1.0


class Unplayable(AssertionError):
    """A recording is not what it has to be."""


@dataclass
class Expected:
    """What was asked for, in the person's clock; times that are not exactly known are (earliest, latest)."""

    began: tuple
    ended: tuple
    # The program died while it recorded.
    killed: bool = False
    # When nothing could be recorded.
    holes: list = field(default_factory=list)


@dataclass
class Found:
    duration_s: float
    lost_s: float
    still_s: float
    # Measured by `sync.py`: the longest silence that nothing explains, how far sound is from its picture, and what is nowhere to be heard.
    is_fine: bool = False
    hole_s: float = 0.0
    off_s: float = 0.0
    missing_s: float = 0.0


# Two hours decode within it, beside others.
LONGEST_LOOK_S = 1800


def run(*command):
    done = subprocess.run(command, capture_output=True, timeout=LONGEST_LOOK_S)
    if done.returncode != 0 or done.stderr.strip():
        raise Unplayable(f"{command[0]} ({done.returncode}): {done.stderr.decode(errors='replace')[:600]}")
    return done.stdout


def probe(path):
    entries = "stream=codec_name,codec_type,nb_frames,duration:format=duration"
    return json.loads(run("ffprobe", "-v", "warning", "-show_entries", entries, "-of", "json", path))


def ticks(path):
    """Of each picture the tick that it shows; None where it shows none."""
    scale = "scale=64:36:flags=area,format=gray"
    raw = run("ffmpeg", "-v", "warning", "-i", path, "-map", "0:v", "-fps_mode", "passthrough", "-vf", scale, "-f", "rawvideo", "-")
    pictures = np.frombuffer(raw, dtype=np.uint8).reshape(-1, 36, 64)
    # The middle of each cell: edges are blurred, and a tile may cut a little off.
    cells = pictures.reshape(-1, 3, 12, 8, 8)[:, :, 4:8, :, 3:5].mean(axis=(2, 4))
    found = []
    for cell in cells:
        mark = cell[2, 4:]
        is_one = all((level > 125) == bool(lit) and not 70 <= level <= 180 for level, lit in zip(mark, MARK))
        bits = np.concatenate([cell[0], cell[1]])
        is_clear = is_one and bool(np.all((bits < 70) | (bits > 180)))
        found.append(sum(int(bits[bit] > 125) << bit for bit in range(BITS)) if is_clear else None)
    return counted_on(found)


def counted_on(ticks):
    """The same where a picture has no more place for the number: it begins anew at 0, and time does not."""
    turns, before, found = 0, None, []
    for tick in ticks:
        if tick is None:
            found.append(None)
            continue
        if before is not None and abs(tick - before) > 1 << (BITS - 1):
            turns += 1 if tick < before else -1
        before = tick
        found.append(tick + (turns << BITS))
    return found


def tones(path):
    """Of each tenth of a second the tone that sounds, as its place in TONES_HZ; None for silence."""
    raw = run("ffmpeg", "-v", "warning", "-i", path, "-map", "0:a", "-ac", "1", "-ar", str(RATE), "-f", "s16le", "-")
    samples = np.frombuffer(raw, dtype=np.int16).astype(float)
    length = int(RATE * WINDOW_S)
    windows = samples[: len(samples) // length * length].reshape(-1, length)
    times = np.arange(length) / RATE
    found = []
    for window in windows:
        strengths = [abs(np.dot(window * np.hanning(length), np.exp(-2j * np.pi * hertz * times))) for hertz in TONES_HZ]
        best = int(np.argmax(strengths))
        found.append(best if strengths[best] / length > 300 else None)
    return found


def inside(at, intervals, margin=0.0):
    return any(start - margin <= at <= end + margin for start, end in intervals)


def look(path, expected, stalls):
    """Checks a recording's file against what was asked for.

    Raises [`Unplayable`] with what is wrong.
    """
    shown, heard = ticks(path), tones(path)
    duration = check_length(path, len(shown), expected)
    excused = expected.holes + stalls
    last = check_pictures(shown, expected, excused)
    check_sound(heard, shown, last["lag"], expected, excused)
    return Found(duration, lost_at_end(last["clock"], expected, excused), last["still"])


def check_length(path, pictures, expected):
    info = probe(path)
    kinds = sorted(stream["codec_name"] for stream in info["streams"])
    if kinds != ["aac", "h264"]:
        raise Unplayable(f"its streams are {kinds}")
    duration = float(info["format"]["duration"])
    if abs(pictures / FPS - duration) > 0.15:
        raise Unplayable(f"{pictures} pictures in {duration:.2f} s")
    asked = (expected.ended[0] - expected.began[1], expected.ended[1] - expected.began[0])
    at_least = asked[0] - (LOST_S if expected.killed else EXACT_S)
    if not at_least <= duration <= asked[1] + EXACT_S:
        raise Unplayable(f"it lasts {duration:.2f} s, and {asked[0]:.2f} to {asked[1]:.2f} s were asked for")
    return duration


def lost_at_end(clock, expected, excused, delay_s=0.0):
    """From the last picture, taken at `clock`, to the end of what was asked for; `delay_s` is the network's."""
    end = expected.ended[0]
    if inside(end, excused):
        # Its person itself, or a stopped program, had nothing to show at the end.
        end = max(start for start, stop in excused if start <= end <= stop)
    lost = max(0.0, end - delay_s - clock)
    if lost > (LOST_S if expected.killed else EXACT_S):
        raise Unplayable(f"its last picture was taken {lost:.2f} s before the end")
    return lost


def check_pictures(shown, expected, excused):
    known = [(n / FPS, tick * TICK_S) for n, tick in enumerate(shown) if tick is not None]
    if not known:
        raise Unplayable("it shows nothing of its person")
    fresh = [known[0]] + [now for before, now in zip(known, known[1:]) if now[1] != before[1]]
    lag = float(np.median([clock - at for at, clock in fresh]))
    if known[0][0] > 1.0 and not inside(known[0][0] + lag, excused, 1.0):
        raise Unplayable(f"its person is first seen after {known[0][0]:.2f} s")
    if known[0][1] < expected.began[0] - 2:
        raise Unplayable("it begins with what was shown long before")
    still = 0.0
    for (at, clock), (next_at, next_clock) in zip(fresh, fresh[1:]):
        if next_clock < clock:
            raise Unplayable(f"at {next_at:.2f} s it goes back from {clock:.2f} to {next_clock:.2f}")
        if abs(next_clock - next_at - lag) > OFF_S and not inside(next_clock, excused, 1.0):
            raise Unplayable(f"at {next_at:.2f} s it shows {next_clock:.2f}, which belongs to {next_clock - lag:.2f}")
        if next_at - at > STILL_S and not inside_any(clock, next_clock, excused):
            raise Unplayable(f"it stands still from {at:.2f} to {next_at:.2f} s")
        still = max(still, next_at - at)
    missing = len(shown) - len(known) - int(known[0][0] * FPS)
    if missing > FPS * STILL_S and not excused:
        raise Unplayable(f"{missing} pictures show nothing that can be read")
    return {"lag": lag, "clock": fresh[-1][1], "still": still}


def inside_any(start, end, intervals):
    return any(begin - 0.3 < end and start < stop + 1.0 for begin, stop in intervals)


def check_sound(heard, shown, lag, expected, excused):
    first = next(n for n, tick in enumerate(shown) if tick is not None) / FPS
    end = len(shown) / FPS
    wrong, worst = 0.0, 0.0
    for n, tone in enumerate(heard):
        at = (n + 0.5) * WINDOW_S
        if at < max(first, 0.5) or at > end - (LOST_S if expected.killed else EXACT_S):
            continue
        clock = at + lag
        right = {int(second) % len(TONES_HZ) for second in (clock - OFF_S, clock, clock + OFF_S)}
        if tone in right or inside(clock, excused, 1.0):
            wrong = 0.0
            continue
        wrong += WINDOW_S
        worst = max(worst, wrong)
        if worst > STILL_S:
            what = "silence" if tone is None else f"{TONES_HZ[tone]} Hz"
            raise Unplayable(f"at {at:.2f} s there is {what}, for {worst:.1f} s, where {[TONES_HZ[n] for n in sorted(right)]} belong")
