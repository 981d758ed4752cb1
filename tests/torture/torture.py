"""The torture test: rounds of a recording and a disaster, against the real program with a stock client.

    REELROOM_BIN=target/debug/reelroom python tests/torture/torture.py [--rounds 100] [--seed 1] [--only KIND] [--small] [--report FILE]

What has to come of every round stands in `rounds.py`, what can happen in `disasters.py`, what a file has to show in `film.py`.
It wants a mount namespace of its own (`scripts/torture` gives it one), libfaketime for the clock, and network namespaces for the network.
"""

import argparse
import asyncio
import errno
import glob
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import film
import relay
import sync
from disasters import DISASTERS, NEEDS, RESERVE_BYTES
from house import House, Store
from rounds import Round

DISK_BYTES = 400_000_000
FAKETIME = "/usr/lib/*/faketime/libfaketimeMT.so.1"
SMALL = [
    ("kill the program", "s3"),
    ("kill while recovering", "disk"),
    ("clock to and fro, and kill", "clock"),
    ("kill the composer", "disk"),
    ("store answers 500", "s3"),
    ("full disk, at once", "disk"),
    ("kill while storing", "s3"),
    ("read-only disk", "disk"),
    ("store keeps half", "s3"),
    ("stop the program", "disk"),
    ("stall", "clock"),
    ("delay step", "clock"),
    ("lying clock", "clock"),
]


class Disk:
    """A small file system for a data folder."""

    def __init__(self, folder):
        self.folder, self.ballast = folder, folder / "ballast"
        folder.mkdir()
        self.data = folder / "data"
        self.mount("-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", folder)
        self.data.mkdir()

    def mount(self, *arguments):
        subprocess.run(["mount", *map(str, arguments)], check=True)

    def fill(self, left_bytes):
        with open(self.ballast, "wb", buffering=0) as file:
            while not self.reserve(file, left_bytes):
                pass
            if left_bytes == 0:
                self.fill_up(file)

    def reserve(self, file, left_bytes):
        """Takes nearly all there is; False when the recorder has taken some of it in the same moment."""
        space = os.statvfs(self.folder)
        wanted = space.f_bavail * space.f_frsize - max(left_bytes, 1_000_000)
        try:
            os.posix_fallocate(file.fileno(), 0, max(wanted, 1))
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
            return False
        return True

    def fill_up(self, file):
        file.seek(0, os.SEEK_END)
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC, error

    def free(self):
        self.ballast.unlink(missing_ok=True)

    def protect(self):
        """Everything that is opened from now on is opened on a read-only file system."""
        self.mount("--bind", self.data, self.data)
        self.mount("-o", "remount,bind,ro", self.data)

    def unprotect(self):
        subprocess.run(["umount", "--lazy", str(self.data)], check=True)

    def end(self):
        self.free()
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


class Clock:
    """The clock of one program."""

    def __init__(self, folder, library):
        self.file = folder / "clock"
        self.settings = {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            "FAKETIME_CACHE_DURATION": "1",
        }
        self.jump(0)

    def jump(self, seconds):
        """Ahead of the machine's by so much. The program sees it within a second."""
        self.ahead_s = seconds
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+.3f}\n")
        new.rename(self.file)


class Torture:
    def __init__(self, options):
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="reelroom-torture-"))
        self.houses, self.disk, self.store = {}, None, None
        self.rows, self.failures, self.skipped = [], [], []

    def build(self, wanted):
        if "s3" in wanted:
            self.store = Store(self.folder / "bucket")
            self.houses["s3"] = House("s3", self.folder / "s3", self.store)
        if "disk" in wanted:
            folder = self.folder / "disk"
            folder.mkdir()
            self.disk = Disk(folder / "small")
            self.houses["disk"] = House("disk", folder, data=self.disk.data, DISK_RESERVE=str(RESERVE_BYTES))
            self.houses["disk"].disk = self.disk
        if "clock" in wanted:
            folder = self.folder / "clock"
            folder.mkdir()
            clock = Clock(folder, glob.glob(FAKETIME)[0])
            self.houses["clock"] = House("clock", folder, KEEP_TAKES_DAYS="60", **clock.settings)
            self.houses["clock"].clock = clock

    def schedule(self):
        """Kinds and houses, in their order."""
        can = {"s3"}
        if subprocess.run(["mountpoint", "-q", "/proc"]).returncode == 0 and os.environ.get("TORTURE_MAY_MOUNT"):
            can.add("disk")
        if glob.glob(FAKETIME):
            can.add("clock")
        rng = random.Random(self.options.seed)
        if self.options.small:
            plan = [pair for pair in SMALL if not self.options.only or self.options.only in pair[0]]
        else:
            kinds = [kind for kind in DISASTERS if not self.options.only or self.options.only in kind]
            plan, turn = [], 0
            while len(plan) < self.options.rounds:
                for kind in rng.sample(kinds, len(kinds)):
                    houses = DISASTERS[kind][1]
                    plan.append((kind, houses[turn % len(houses)]))
                turn += 1
            plan = plan[: self.options.rounds]
        if any(NEEDS[kind] == "network" for kind, _ in plan) and relay.is_possible():
            can.add("network")
        possible = [(kind, house) for kind, house in plan if house in can and NEEDS[kind] in (None, *can)]
        self.skipped = sorted({kind for kind, _ in plan} - {kind for kind, _ in possible})
        return possible

    async def run(self):
        plan = self.schedule()
        for kind in self.skipped:
            print(f"not tried on this machine, which lacks mount namespaces, network namespaces or libfaketime: {kind}", file=sys.stderr)
        self.build({house for _, house in plan})
        try:
            for house in self.houses.values():
                await house.start()
            turns = asyncio.Semaphore(self.options.at_once)
            self.until = time.monotonic() + 60 * self.options.minutes
            queues = {name: [] for name in self.houses}
            for number, (kind, name) in enumerate(plan, 1):
                queues[name].append((number, kind))
            await asyncio.gather(*(self.rounds(self.houses[name], queue, turns) for name, queue in queues.items()))
            for house in self.houses.values():
                await self.inspect(house)
        finally:
            self.tear_down()

    async def rounds(self, house, queue, turns):
        for number, kind in queue:
            async with turns:
                if time.monotonic() < self.until:
                    await self.round(number, kind, house)

    async def round(self, number, kind, house):
        rng = random.Random(f"{self.options.seed}/{number}/{kind}")
        folder = self.folder / f"round-{number}"
        folder.mkdir()
        round = Round(number, kind, house, rng, folder, self.options.small)
        began, problem, offset = time.monotonic(), None, len(house.log())
        try:
            await DISASTERS[kind][0](round)
            await round.settle()
        except Exception as error:
            problem = error
            self.complain(round, error, house.log()[offset:])
            await self.tidy(round)
        finally:
            await round.leave()
        if problem is None:
            shutil.rmtree(folder)
        self.rows.append((kind, round, problem))
        lost = max((found.lost_s for found in round.found), default=0)
        result = "ok" if problem is None else "FAILED"
        print(f"{number:>4} {house.name:<5} {kind:<28} {result:<6} lost {lost:4.2f} s, {time.monotonic() - began:5.1f} s", flush=True)

    async def tidy(self, round):
        """After a failure: the next round is another one's."""
        house = round.house
        try:
            if not house.is_running():
                await house.start()
            await house.acall("/recordings/stop", {"roomName": round.room})
        except Exception as error:
            print(f"(not tidied: {error})", flush=True)

    def complain(self, round, error, log):
        (round.folder / "log").write_text(log)
        what = f"round {round.number} ({round.kind}, {round.house.name}), seed {self.options.seed}"
        text = "".join(traceback.format_exception(error)) if not isinstance(error, AssertionError) else str(error)
        self.failures.append(f"{what}: {text}")
        lines = "\n".join(log.splitlines()[-40:])
        print(f"\n=== {what}\n{text}\n--- the program's log ({round.folder}/log)\n{lines}\n", flush=True)

    async def inspect(self, house):
        """After all rounds: what is listed is what was asked for, and plays; nothing else is left."""
        try:
            await self.inspect_house(house)
        except Exception as error:
            text = str(error) if isinstance(error, AssertionError) else "".join(traceback.format_exception(error))
            self.failures.append(f"after all rounds, {house.name}: {text}")
            print(f"\n=== after all rounds, {house.name}, seed {self.options.seed}: {text}\n{house.log_tail(20)}", flush=True)

    async def inspect_house(self, house):
        before = await house.recordings()
        starts = [entry["startedAt"] for entry in before]
        assert starts == sorted(starts, reverse=True), "the newest does not come first"
        bad = [entry for entry in before if entry["status"] != "complete" or "upload" in entry]
        assert not bad, f"not complete: {bad}"
        names = [entry["name"] for entry in before]
        assert len(set(names)) == len(names), "a name is listed twice"
        asked = {asked.name for _, round, _ in self.rows if round.house is house for asked in round.asked}
        assert asked <= set(names), f"asked for and not listed: {asked - set(names)}"
        surprises = [name for name in set(names) - asked if "kill while starting" not in name]
        assert not surprises, f"listed, and nobody asked for: {surprises}"
        await house.rebuild_index()
        after = await house.recordings()
        assert after == before, f"a rebuilt index differs: {[pair for pair in zip(before, after) if pair[0] != pair[1]][:3]}"
        for entry in after:
            path = self.folder / "listed.mp4"
            await house.download(entry["name"], path)
            await asyncio.to_thread(film.run, "ffmpeg", "-v", "warning", "-i", str(path), "-f", "null", "-")
            path.unlink()
        await house.stop()
        assert not house.composers(), f"composers are left: {house.composers()}"
        assert not house.errors(), "errors in the log:\n" + "\n".join(house.errors()[:10])
        left = house.leftovers()
        assert not left, f"left over: {left}"
        if "KEEP_TAKES_DAYS" in house.settings:
            kept = len(list((house.data / "kept").iterdir()))
            assert kept == len(after), f"{kept} takes are kept of {len(after)} recordings"
        house.listed = len(after)

    def tear_down(self):
        for house in self.houses.values():
            if house.is_running():
                house.kill()
        if self.store:
            self.store.end()
        if self.disk and not self.failures:
            self.disk.end()
        if self.failures:
            print(f"kept for you to look at: {self.folder}", flush=True)
        else:
            shutil.rmtree(self.folder)

    def report(self):
        heads = ("kind", "what happens", "rounds", "as it has to be", "recordings listed and playable", "most lost, s", "longest still, s")
        heads += ("longest silence, s", "most out of sync, s")
        lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
        total = [0, 0, 0]
        for kind, (_, _, what) in DISASTERS.items():
            rounds = [(round, problem) for name, round, problem in self.rows if name == kind]
            if not rounds:
                continue
            good = sum(problem is None for _, problem in rounds)
            found = [found for round, _ in rounds for found in round.found]
            lost = max((found.lost_s for found in found), default=0)
            still = max((found.still_s for found in found), default=0)
            fine = [f"{max(figures):.2f}" if (figures := [getattr(one, name) for one in found if one.is_fine]) else "" for name in ("hole_s", "off_s")]
            lines.append(f"| {kind} | {what} | {len(rounds)} | {good} | {len(found)} | {lost:.2f} | {still:.2f} | {fine[0]} | {fine[1]} |")
            total = [total[0] + len(rounds), total[1] + good, total[2] + len(found)]
        lines.append(f"| **all** | | **{total[0]}** | **{total[1]}** | **{total[2]}** | | | | |")
        said = {}
        for kind, round, _ in self.rows:
            for note in round.notes:
                said.setdefault(kind, {}).setdefault(note, 0)
                said[kind][note] += 1
        remarks = [f"- {kind}: {note} ({count} ×)" for kind, notes in said.items() for note, count in list(notes.items())[:3]]
        return "\n".join(lines) + "\n\n" + "\n".join(remarks) + "\n"


INTRODUCTION = """# The torture test

`scripts/torture` writes this page; this is of {rounds} rounds with seed {seed}. Each round records a stock client in the real program, lets something
happen at a random moment, and then wants a complete recording in `GET /recordings` that decodes without a warning. The picture
tells the time at which it was taken and the sound has a tone per second, so the file itself tells what was lost: at most
{lost:.0f} s when the program was killed, {exact} s otherwise (that includes encoding and the way through the network), and everything
in its place. Where a client, its network or its reports misbehave (the last kinds) the file is measured to a hundredth of a second:
beyond the event itself sound and picture are there again within {again} s and in sync within {in_sync:.0f} s, and what was said is
heard. Data folders and bucket live over all rounds. After the last one the list is compared with what was asked for, the index
is deleted and has to come back the same, every recording is decoded again; no file may be left over in the data folders
(`BELONGS` in `tests/torture/house.py`) and the bucket, no upload unfinished, no composer running, and no ERROR in the log.

`make test` runs a small one of {small} rounds, always with the same seed. Load of the machine when this one ended: {load:.0f} on {cores} cores.

"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="part of a kind's name")
    parser.add_argument("--small", action="store_true", help="one brisk round of each sort")
    parser.add_argument("--at-once", type=int, default=1, help="houses that have a round at the same time")
    parser.add_argument("--minutes", type=float, default=600, help="after so long no further round begins")
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    torture = Torture(options)
    # Whoever ends it ends what it started, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    asyncio.run(torture.run())
    print("\n" + torture.report())
    if options.report:
        words = {"rounds": len(torture.rows), "seed": options.seed, "lost": film.LOST_S, "exact": film.EXACT_S, "small": len(SMALL)}
        words |= {"again": sync.AGAIN_S, "in_sync": sync.IN_SYNC_S}
        words |= {"load": os.getloadavg()[0], "cores": os.cpu_count()}
        options.report.write_text(INTRODUCTION.format(**words) + torture.report())
    for failure in torture.failures:
        print(f"FAILED: {failure[:1500]}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    # The clients' own library does not always end.
    os._exit(1 if torture.failures else 0)


main()
