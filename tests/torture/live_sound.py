"""The Python client's part of `scripts/live-sound`: sound in sentences and bursts, a client that stands still, a network that slows down.

Prints a row of JSON for each recording, as `tests/browser/live-sound.mjs` does; `--report FILE` reads such rows from standard input, and writes the page.
"""

import asyncio
import importlib.metadata
import json
import os
import shutil
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import sync
from far import FarPerson
from house import House
from relay import Relay, is_possible
from sync import Event

CLIENT = f"livekit {importlib.metadata.version('livekit')} (PyPI)"
TALKS_S = 3.5
# What follows arrivals too slowly fails seconds later.
SLOW_S = 14


async def silences(person, events, lengths):
    for seconds in lengths:
        events.append(Event(f"silence of {seconds} s", *person.silence(seconds), is_silent=True))
        await asyncio.sleep(seconds + TALKS_S)


async def bursts(person, events, lengths):
    for seconds in lengths:
        events.append(Event(f"burst of {seconds} s", *person.burst(seconds), is_late=True))
        await asyncio.sleep(seconds + TALKS_S)


async def stops(person, events, lengths):
    for seconds in lengths:
        before = person.clock()
        person.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        person.signal(signal.SIGCONT)
        events.append(Event(f"stopped for {seconds} s", before, person.clock(), is_silent=True, is_still=True))
        await asyncio.sleep(TALKS_S)


async def steps(person, events, relay, seconds, how):
    slides_s = 2.0 if how == "slide" else 0.0
    for delay_s, change_s, hold_s in ((seconds, seconds, SLOW_S), (0.0, -seconds, 6)):
        relay.delay(delay_s, how)
        now = person.clock()
        events.append(Event(f"delay {delay_s} s, {how}", now, now + slides_s, delay_s=change_s))
        await asyncio.sleep(slides_s + hold_s)


async def record(house, folder, number, person, what, live, relay=None):
    room = f"Live {number}"
    token = (await house.acall("/token", {"roomName": room, "participantName": "Ada"}))["token"]
    await person.join(house.url, token)
    name = (await house.acall("/recordings/start", {"roomName": room}))["recording"]["name"]
    events = []
    await asyncio.sleep(TALKS_S)
    await live(person, events)
    await house.acall("/recordings/stop", {"roomName": room})
    await person.leave()
    while not any(entry["name"] == name and entry["status"] == "complete" for entry in await house.recordings()):
        await asyncio.sleep(0.1)
    path = folder / f"{number}.mp4"
    await house.download(name, path)
    stalls = person.stalls + (relay.lates_since(person.began) if relay else [])
    verdict = sync.judge(await asyncio.to_thread(sync.measure, str(path)), events, stalls)
    row = {"client": CLIENT, "what": what, "events": [asdict(event) for event in events], "stalls": stalls, **asdict(verdict)}
    print(json.dumps(row), flush=True)


async def run():
    folder = Path(tempfile.mkdtemp(prefix="reelroom-live-"))
    house = House("live", folder / "house")
    await house.start()
    scenes = [
        (0, "pauses of 0.05, 0.3, 1 and 3 s between sentences", lambda *who: silences(*who, (0.05, 0.3, 1, 3))),
        (0, "a pause of 12 s", lambda *who: silences(*who, (12,))),
        (0, "bursts: 0.1, 0.3 and 0.6 s of sound at once", lambda *who: bursts(*who, (0.1, 0.3, 0.6))),
        (200, "pauses of 0.3, 1 and 3 s, with a queue of 200 ms", lambda *who: silences(*who, (0.3, 1, 3))),
        (0, "the whole client stands still for 0.3, 1 and 3 s", lambda *who: stops(*who, (0.3, 1, 3))),
    ]
    try:
        for number, (queue_ms, what, live) in enumerate(scenes):
            await record(house, folder, number, FarPerson(queue_ms), what, live)
        if not is_possible():
            print("not tried on this machine, which lacks network namespaces: what a network does", file=sys.stderr)
            return
        media, http = house.ports()
        relay = Relay(udp=[media], tcp=[http])
        words = {"queue": "nobody overtakes", "overtake": "later packets overtake", "slide": "within 2 s"}
        for number, (seconds, how) in enumerate(((s, h) for s in (0.15, 0.3) for h in words), len(scenes)):
            what = f"network's delay rises by {1000 * seconds:.0f} ms for {SLOW_S} s, and falls: {words[how]}"
            person = FarPerson(within=relay.within)
            await record(house, folder, number, person, what, lambda who, events: steps(who, events, relay, seconds, how), relay)
        relay.end()
        await house.stop()
    finally:
        if house.is_running():
            house.kill()
        shutil.rmtree(folder)


INTRODUCTION = """# What is heard when a microphone or a network stands still

`scripts/live-sound` writes this page. Each row is one recording of a stock client, which meets what the row says in the middle of a call: its
picture shows its clock and its sound has a tone for each second, so the file tells by its content what is heard and seen when. Beyond
what happened nothing may be silent for more than {again} s after an event and {quiet} s elsewhere, pictures may not stand still for more than 0.6 s, and
sound and picture fit to {off:.0f} ms from {in_sync:.0f} s after each event on. *Unheard* is what was said and is nowhere in the file.

| client | what happens | silent, s | still, s | out of sync, ms | unheard, s | |
|---|---|---|---|---|---|---|
"""


def report(path):
    words = {"again": sync.AGAIN_S, "quiet": sync.QUIET_S, "off": 1000 * sync.OFF_S, "in_sync": sync.IN_SYNC_S}
    lines, failed = [], 0
    for row in map(json.loads, sys.stdin):
        is_right = not row["problems"]
        failed += not is_right
        result = "as it has to be" if is_right else "; ".join(row["problems"])
        figures = f"{row['hole_s']:.2f} | {row['still_s']:.2f} | {1000 * row['off_s']:.0f} | {row['missing_s']:.2f}"
        lines.append(f"| {row['client']} | {row['what']} | {figures} | {result} |")
    page = INTRODUCTION.format(**words) + "\n".join(lines) + "\n"
    Path(path).write_text(page)
    print(page)
    return failed


if __name__ == "__main__":
    if sys.argv[1:2] == ["--report"]:
        sys.exit(1 if report(sys.argv[2]) else 0)
    asyncio.run(run())
    sys.stdout.flush()
    # The clients' own library does not always end.
    os._exit(0)
