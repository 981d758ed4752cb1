"""What can happen. Each disaster plays one round, and leaves the house as it found it: running, with nothing wrong.

A disaster names the houses it can strike: `s3` and `disk` by their stores, `clock` for the one whose clock is not true.
"""

import asyncio
import os
import signal
import time

from far import FarPerson
from house import Refused
from liar import Liar
from relay import Relay
from sync import Event

HOUR_S, DAY_S = 3600, 86400
# Of the small disk: the guard's share, and what is left by a disk that fills up slowly.
RESERVE_BYTES = 60_000_000
LEFT_BYTES = 40_000_000

# How long the relay takes to get to another delay.
SLIDES_S = {"queue": 0.0, "overtake": 0.0, "slide": 2.0}

DISASTERS = {}


# What a kind needs beside its house.
NEEDS = {}


def disaster(name, houses, what, needs=None):
    def add(play):
        DISASTERS[name] = (play, houses, what)
        NEEDS[name] = needs
        return play

    return add


@disaster("kill the program", ("s3", "disk"), "`kill -9` of the program while it records, and a new start")
async def kill_program(round):
    await round.begin()
    await round.pause(1.5, 4.5)
    await round.kill()
    await round.pause(0, 1)
    await round.house.start()


@disaster("restart the program", ("s3", "disk"), "`SIGTERM` of the program while it records, a new start, and whoever was in the call comes back")
async def restart_program(round):
    await round.begin()
    await round.pause(1.5, 4)
    await round.restart()
    await round.pause(1.5, 3)
    await round.end()


@disaster("restart and kill", ("s3", "disk"), "the same, and `kill -9` before anybody is back, or after")
async def restart_and_kill(round):
    await round.begin()
    await round.pause(1.5, 3)
    is_early = round.rng.random() < 0.5
    await round.restart(dies=is_early)
    await round.pause(1, 3)
    if is_early:
        await round.end()
    else:
        await round.kill()
        await round.house.start()


@disaster("kill the composer", ("s3", "disk"), "`kill -9` of the composer, once or twice")
async def kill_composer(round):
    await round.begin()
    for _ in range(round.rng.choice((1, 2))):
        await round.pause(0.7, 2)
        await composing(round)
        round.house.kill_composers()
    await round.pause(0.5, 2)
    await round.end()


@disaster("kill both", ("s3", "disk"), "`kill -9` of the composer and then of the program")
async def kill_both(round):
    await round.begin()
    await round.pause(1.5, 4)
    await composing(round)
    round.house.kill_composers()
    await round.kill()
    await round.house.start()


@disaster("stop the program", ("s3", "disk"), "`SIGSTOP` of the program for one to five seconds while it records")
async def stop_program(round):
    asked = await round.begin()
    await round.pause(1, 2.5)
    before = round.person.clock()
    round.house.signal(signal.SIGSTOP)
    try:
        await round.pause(1, 5)
    finally:
        round.house.signal(signal.SIGCONT)
    asked.holes.append((before, round.person.clock()))
    await round.pause(2, 3.5)
    await round.end()


@disaster("stop the composer", ("s3", "disk"), "`SIGSTOP` of the composer for one to four seconds, also over the end")
async def stop_composer(round):
    await round.begin()
    await round.pause(1, 2)
    composers = await composing(round)
    for pid in composers:
        os.kill(pid, signal.SIGSTOP)
    try:
        await round.pause(1, 4)
        if round.rng.random() < 0.5:
            await round.end()
            await round.pause(0.5, 2)
    finally:
        for pid in composers:
            os.kill(pid, signal.SIGCONT)
    if round.asked[-1].ended is None:
        await round.pause(0.5, 1.5)
        await round.end()


async def composing(round):
    """The composers, as soon as there are any."""
    end = time.monotonic() + 10
    while not (composers := round.house.composers()):
        assert time.monotonic() < end, "no composer runs"
        await asyncio.sleep(0.05)
    return composers


@disaster("kill while starting", ("s3", "disk"), "`kill -9` while the answer to Record is on its way; then recorded again")
async def kill_starting(round):
    await round.join()
    round.may_have_more = True
    asking = asyncio.create_task(round.house.acall("/recordings/start", {"roomName": round.room}))
    await asyncio.sleep(round.rng.uniform(0, 0.3))
    await round.kill()
    await asyncio.gather(asking, return_exceptions=True)
    await round.house.start()
    await round.begin()
    await round.pause(1.5, 3)
    await round.end()


@disaster("kill while ending", ("s3", "disk"), "Stop, and `kill -9` within a second, of the composer as well every other time: while the file is composed, finished and stored")
async def kill_ending(round):
    asked = await round.begin()
    await round.pause(1.5, 3.5)
    await round.end()
    await asyncio.sleep(round.rng.uniform(0, 0.8))
    asked.killed, asked.recovered = True, None
    if round.rng.random() < 0.5:
        round.house.kill_composers()
    await round.kill()
    await round.house.start()


@disaster("kill while storing", ("s3",), "`kill -9` while the store takes its time")
async def kill_storing(round):
    await round.begin()
    await round.pause(1.5, 3)
    round.house.store.fault("hang", method="PUT")
    try:
        await round.end()
        await round.until_listed(lambda entry: "upload" in entry, "an upload")
        await round.pause(0, 1)
        await round.kill()
    finally:
        round.house.store.fault("none")
    await round.house.start()


@disaster("kill while recovering", ("s3", "disk"), "`kill -9`, and again while the next start comes up or recovers, and again")
async def kill_recovering(round):
    await round.begin()
    await round.pause(1.5, 3.5)
    await round.kill()
    for _ in range(round.rng.choice((1, 2))):
        round.house.spawn()
        await asyncio.sleep(round.rng.uniform(0, 1.5))
        round.house.kill()
    await round.house.start()


@disaster("full disk, slowly", ("disk",), "the disk fills up to less than what is kept free")
async def full_slowly(round):
    await fill(round, LEFT_BYTES)


@disaster("full disk, at once", ("disk",), "another program takes the last byte of the disk")
async def full_at_once(round):
    await fill(round, 0)


async def fill(round, left_bytes):
    disk = round.house.disk
    asked = await round.begin()
    await round.pause(1.5, 3)
    before = round.person.clock()
    disk.fill(left_bytes)
    try:
        # It may end up to a second earlier, as after any other loss. The guard looks twice a second.
        await asyncio.sleep(1)
        asked.ended, asked.killed = (before, round.person.clock()), True
        message = await round.refused("/recordings/start", {"roomName": round.room}, "disk")
        round.note(f"refused: “{message}”")
        await round.pause(0, 8)
        await round.listed()
    finally:
        disk.free()
    entry = await round.until_listed(lambda entry: entry["status"] == "complete", "the recording's completion")
    assert "disk" in entry.get("error", ""), f"it does not say why it ended early: {entry}"
    await asyncio.sleep(1)
    await round.begin()
    await round.pause(1, 2)
    await round.end()


@disaster("read-only disk", ("disk",), "the data folder becomes read-only while it records, until after Stop")
async def read_only(round):
    disk = round.house.disk
    asked = await round.begin()
    await round.pause(1, 2)
    before = round.person.clock()
    disk.protect()
    try:
        await round.pause(1, 2)
        entry = (await round.listed())[0]
        if entry["status"] == "recording":
            await round.end()
        else:
            asked.ended, asked.killed = (before, round.person.clock()), True
            round.note("ended when the disk was read-only")
        await round.pause(0.5, 3)
        message = await round.refused("/recordings/start", {"roomName": round.room}, "disk")
        round.note(f"refused: “{message}”")
    finally:
        disk.unprotect()


def store_fault(name, kind, what, **options):
    @disaster(name, ("s3",), what)
    async def play(round):
        store = round.house.store
        await round.begin()
        await round.pause(0.5, 1.5)
        is_early = round.rng.random() < 0.5
        if is_early:
            store.fault(kind, **options)
        await round.pause(1, 2)
        try:
            if not is_early:
                store.fault(kind, **options)
            await round.end()
            entry = await round.until_listed(lambda entry: "upload" in entry, "an upload")
            await round.pause(1, 3)
            entry = (await round.listed())[0]
            assert "upload" in entry, f"it is said to be stored: {entry}"
            # It plays all the same.
            await round.check(entry, round.asked[-1])
            assert store.struck() > 0, "the store has not failed"
        finally:
            store.fault("none")
        if entry["upload"].get("lastError"):
            round.note("was told: “" + entry["upload"]["lastError"].split(": ", 1)[-1][:80] + "”")

    return play


store_fault("store answers 500", "500", "the S3 server answers everything with 500, for seconds around Stop")
store_fault("store hangs", "hang", "the S3 server answers nothing")
store_fault("store cuts off", "cut", "the S3 server ends every connection in the middle")
store_fault("store lies about size", "lie-size", "the S3 server tells another size than it stored")
store_fault("store keeps half", "truncate", "the S3 server says 200 and keeps half of it")
store_fault("store changes a byte", "corrupt", "the S3 server says 200 and changes a byte of it")


async def jump(round, seconds):
    """Sets the program's clock, and waits until it goes by it."""
    clock = round.house.clock
    clock.jump(seconds)
    end = time.monotonic() + 5
    while True:
        try:
            if abs(await round.house.ahead_s() - seconds) < 5:
                return
        except Refused as refusal:
            # Between a token's making and its use it has become days old.
            assert refusal.status == 502 and "token" in refusal.message(), refusal
        assert time.monotonic() < end, "the program's clock does not jump"
        await asyncio.sleep(0.1)


async def clock_round(round, seconds):
    await round.begin()
    await round.pause(0.8, 1.8)
    await jump(round, seconds)
    await round.pause(0.8, 1.8)
    await round.end()
    await round.settle()
    # Another one, by the other clock: a token, a start and a list have to work all the same.
    await round.leave()
    round.person = None
    await round.begin()
    await round.pause(0.8, 1.8)
    await round.end()
    await round.settle()
    await jump(round, 0)


@disaster("clock forward", ("clock",), "the clock jumps ahead by hours or days while it records, and back afterwards")
async def clock_forward(round):
    await clock_round(round, round.rng.choice((HOUR_S, 7 * HOUR_S, 3 * DAY_S, 20 * DAY_S)))


@disaster("clock backward", ("clock",), "the clock jumps back by hours or days while it records, and ahead afterwards")
async def clock_backward(round):
    await clock_round(round, -round.rng.choice((HOUR_S, 7 * HOUR_S, 3 * DAY_S, 20 * DAY_S)))


@disaster("clock to and fro, and kill", ("clock",), "the clock jumps twice, the program is killed and started with yet another clock")
async def clock_and_kill(round):
    clock = round.house.clock
    await round.begin()
    for sign in (1, -1):
        await round.pause(0.8, 1.6)
        await jump(round, sign * round.rng.choice((HOUR_S, 2 * DAY_S)))
    await round.pause(1.2, 2)
    await round.kill()
    clock.jump(round.rng.choice((-5 * DAY_S, -HOUR_S, HOUR_S, 5 * DAY_S)))
    await round.house.start()
    await round.settle()
    await jump(round, 0)


@disaster("the same second twice", ("clock",), "the clock is set back to a second in which the same room was recorded days ago")
async def same_second(round):
    await round.join()
    then = time.time() + 10 * DAY_S
    for _ in range(2):
        await jump(round, then - time.time())
        await round.begin()
        await round.pause(1, 2)
        await round.end()
        await round.settle()
        # Days later: the recorder has forgotten what it did then.
        await jump(round, 15 * DAY_S)
        await asyncio.sleep(2.5)
    await jump(round, 0)


# Sound and pictures are to be in sync again so long after an event; the next one comes later.
SETTLES_S = 3


async def stall_process(round, asked, seconds):
    before = round.person.clock()
    round.person.signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        round.person.signal(signal.SIGCONT)
    asked.events.append(Event("the client stands still", before, round.person.clock(), is_silent=True, is_still=True))


async def stall_microphone(round, asked, seconds):
    asked.events.append(Event("the microphone stands still", *round.person.silence(seconds), is_silent=True))
    await asyncio.sleep(seconds)


async def stall_and_burst(round, asked, seconds):
    asked.events.append(Event("the sound comes in a burst", *round.person.burst(seconds), is_late=True))
    await asyncio.sleep(seconds)


@disaster("stall", ("s3", "disk"), "the client, its microphone alone, or what it hears stands still for 0.05 to 4 s, while its RTP goes on without a gap")
async def stall(round):
    round.newcomer = FarPerson
    asked = await round.begin()
    await round.pause(2, 3)
    for _ in range(1 if round.is_brisk else round.rng.choice((1, 2, 3))):
        how, most_s = round.rng.choice(((stall_process, 4), (stall_microphone, 4), (stall_and_burst, 0.8)))
        if round.is_brisk:
            most_s = min(most_s, 1.2)
        # As many short ones as long ones.
        await how(round, asked, 0.05 * (most_s / 0.05) ** round.rng.random())
        await round.pause(SETTLES_S, SETTLES_S + 3)
    await round.end()


@disaster("delay step", ("s3", "disk"), "the network's delay rises by 100 to 350 ms for seconds, and falls again, while packets are under way", needs="network")
async def delay_step(round):
    media, http = round.house.ports()
    relay = Relay(udp=[media], tcp=[http])
    try:
        round.newcomer = lambda: FarPerson(within=relay.within)
        asked = await round.begin()
        await round.pause(2, 3)
        step_s = round.rng.uniform(0.1, 0.35)
        for delay_s, change_s in ((step_s, step_s),) if round.is_brisk else ((step_s, step_s), (0.0, -step_s)):
            how = round.rng.choice(("queue", "overtake", "slide"))
            relay.delay(delay_s, how)
            now = round.person.clock()
            asked.events.append(Event(f"the delay is {delay_s:.2f} s, {how}", now, now + SLIDES_S[how], delay_s=change_s))
            # What follows arrivals too slowly fails seconds later.
            await asyncio.sleep(round.rng.uniform(12, 14) if round.is_brisk else round.rng.uniform(SETTLES_S, 16) + SLIDES_S[how])
        await round.end()
        await round.leave()
        asked.person.stalls += relay.lates_since(asked.person.began)
    finally:
        relay.end()


@disaster("lying clock", ("s3", "disk"), "the client's sender reports are wrong by 0.4 to 20 s, at once or by and by, about its sound or its pictures")
async def lying_clock(round):
    from_s = round.rng.uniform(3, 6)
    about, by_s = round.rng.choice(("sound", "pictures")), 0.4 * 50 ** round.rng.random()
    at_once = round.rng.random() < 0.7
    lies = [(about, from_s, by_s)] if at_once else [(about, from_s + 0.2 * n, by_s * n / 20) for n in range(1, 21)]
    # Nothing is to be seen or heard of a lie; it is noted for those who read of a failure.
    events = [Event(f"reports about {about} are wrong by {by_s:.2f} s", from_s, lies[-1][1])]
    # Reports of sound are seconds apart.
    until_s = events[-1].to_s + round.rng.uniform(5, 6)
    if not round.is_brisk:
        # And the truth again, or another lie.
        lies.append((about, until_s, round.rng.choice((0.0, 0.8, 5.0))))
        events.append(Event(f"reports are wrong by {lies[-1][2]:.2f} s", until_s, until_s))
        until_s += round.rng.uniform(5, 8)
    round.newcomer = lambda: Liar(round.folder.parent, lies)
    asked = await round.begin()
    asked.events = events
    await asyncio.sleep(until_s - round.person.clock())
    await round.end()
