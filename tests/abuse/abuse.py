"""Attacks on the real program while two people talk and are recorded: nobody but the attacker may notice.

    REELROOM_BIN=target/debug/reelroom python tests/abuse/abuse.py [--small] [--only NAME] [--minutes M] [--seed N] [--report FILE]

Beside every attack somebody watches the call's picture, and another looks at the program's memory and open files. The program has
512 MB for its data, and dies of more. What is tried stands in `attacks.py` and `mutations.py`. With `--minutes` all of it is tried again
and again for so long.
"""

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parent.parent / "torture"))

import film
from attacks import ATTACKS, Attack
from far import FarPerson
from house import BINARY, House
from watch import Watcher

MEMORY_BYTES = 512 << 20
FREEZE_S = 0.5
BACK_WITHIN_S = 60
# What an allocator keeps, and what a call that goes on takes, by and by.
BACK_TO_MB = 48
SMALL_SCALE = 0.02
ROOM = "The call"
# As a guest's own machine would have it: what is measured is the server's part of two cores.
ATTACKER_NICE = 10


class Fortress(House):
    """The program with a limit of memory."""

    key, secret = "key", "a secret that is long enough to be one"

    def __init__(self, folder):
        super().__init__("abuse", folder, LIVEKIT_API_KEY=self.key, LIVEKIT_API_SECRET=self.secret)

    def spawn(self):
        environment = {"PATH": os.environ["PATH"], "SERVER_PORT": "0", "UDP_PORT": "0", "DATA_DIR": str(self.data), "LOG": "info", **self.settings}
        command = ["prlimit", f"--data={MEMORY_BYTES}", BINARY]
        with open(self.log_file, "a") as log:
            self.process = subprocess.Popen(command, env=environment, cwd=self.folder, stdout=subprocess.PIPE, stderr=log, text=True)

    def resident_mb(self):
        return self._status("VmRSS")

    def peak_mb(self):
        return self._status("VmHWM")

    def forget_peak(self):
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def _status(self, field):
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Row:
    """What one attack came to."""

    def __init__(self, name):
        self.name, self.rounds, self.seconds = name, 0, 0.0
        self.freeze_s = self.peak_mb = self.after_mb = 0.0
        self.notes, self.problems = {}, []


class Siege:
    def __init__(self, options):
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="reelroom-abuse-"))
        self.house = Fortress(self.folder / "house")
        self.rows, self.failures, self.samples = {}, [], []

    async def run(self):
        await self.house.start()
        self.person, self.watcher = FarPerson(queue_ms=200), Watcher()
        try:
            await self.person.join(self.house.url, await self.token("Ada"))
            await self.watcher.join(self.house.url, await self.token("Bob"))
            os.nice(ATTACKER_NICE)
            began = self.person.clock()
            # Whoever speaks, alone: guests come and go beside her.
            wanted = {"roomName": ROOM, "layout": "single-speaker"}
            answer = await self.house.acall("/recordings/start", wanted)
            began = (began, self.person.clock())
            await asyncio.sleep(2)
            self.before_mb, self.before_descriptors = self.house.resident_mb(), self.house.descriptors()
            self.watcher.take_still()
            await self.attacks()
            await asyncio.sleep(1)
            ended = self.person.clock()
            await self.house.acall("/recordings/stop", {"roomName": ROOM})
            await self.look(answer["recording"]["name"], film.Expected(began, (ended, self.person.clock())))
            await self.rest()
        finally:
            self.watcher.end()
            await self.person.leave()
            if self.house.is_running():
                await self.house.stop()
        errors = self.house.errors()
        if errors:
            self.failures.append("errors in the log:\n" + "\n".join(errors[:10]))

    async def token(self, name):
        return (await self.house.acall("/token", {"roomName": ROOM, "participantName": name}))["token"]

    async def attacks(self):
        names = [name for name in ATTACKS if not self.options.only or self.options.only in name]
        end = time.monotonic() + 60 * self.options.minutes
        turn = 0
        while turn == 0 or time.monotonic() < end:
            order = random.Random(f"{self.options.seed}/{turn}").sample(names, len(names))
            for name in order:
                if turn == 0 or time.monotonic() < end:
                    await self.attack(name, turn)
                    self.samples.append((time.monotonic(), self.house.resident_mb(), self.house.descriptors()))
            turn += 1

    async def attack(self, name, turn):
        row = self.rows.setdefault(name, Row(name))
        run, _ = ATTACKS[name]
        self.house.forget_peak()
        began = time.monotonic()
        scale = SMALL_SCALE if self.options.small else 1.0
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            attack = Attack(self.house, ROOM, session, f"{self.options.seed}/{turn}/{name}", scale)
            try:
                await asyncio.wait_for(run(attack), 300)
            except Exception as error:
                if not self.house.is_running():
                    row.problems.append("THE PROGRAM DIED")
                else:
                    row.problems.append(f"the attack itself failed: {traceback.format_exception(error)[-1].strip()}")
        if not self.house.is_running():
            self.failures.append(f"{name}: the program died\n{self.house.log_tail(20)}")
            raise SystemExit(f"{name}: the program died\n{self.house.log_tail(20)}")
        row.rounds += 1
        row.seconds += time.monotonic() - began
        row.peak_mb = max(row.peak_mb, self.house.peak_mb())
        row.problems += attack.faults
        for what, count in attack.notes.items():
            row.notes[what] = row.notes.get(what, 0) + count
        await asyncio.sleep(0.5)
        row.freeze_s = max(row.freeze_s, self.watcher.take_still())
        if not self.watcher.is_there():
            row.problems.append("somebody else was thrown out of the call")
            self.watcher = Watcher()
            await self.watcher.join(self.house.url, await self.token("Bob"))
        if row.freeze_s > FREEZE_S:
            row.problems.append(f"the call's picture stood still for {row.freeze_s:.2f} s")
        row.after_mb = max(row.after_mb, await self.memory_afterwards(row))
        row.problems = list(dict.fromkeys(row.problems))
        told = ", ".join(f"{what} {count}" for what, count in list(attack.notes.items())[:6])
        state = "ok" if not row.problems else "FAILED: " + "; ".join(row.problems)
        print(f"{name:<40} still {row.freeze_s:4.2f} s, peak {row.peak_mb:4.0f} MB, after {row.after_mb:4.0f} MB, {row.seconds:5.1f} s  {state}  ({told})", flush=True)

    async def memory_afterwards(self, row):
        """Resident memory as soon as it is back to what it was, or a minute later."""
        end = time.monotonic() + BACK_WITHIN_S
        while (mb := self.house.resident_mb()) > self.before_mb + BACK_TO_MB:
            if time.monotonic() > end:
                row.problems.append(f"memory is {mb:.0f} MB a minute later, and was {self.before_mb:.0f}")
                break
            await asyncio.sleep(0.5)
        return mb

    async def look(self, name, expected):
        """The call's recording is complete, by content."""
        end = time.monotonic() + 600
        while True:
            entry = next(entry for entry in await self.house.recordings(roomName=ROOM) if entry["name"] == name)
            if entry["status"] == "complete":
                break
            assert entry["status"] != "failed" and time.monotonic() < end, entry
            await asyncio.sleep(0.5)
        path = self.folder / "call.mp4"
        await self.house.download(name, path)
        try:
            found = await asyncio.to_thread(film.look, str(path), expected, self.person.stalls)
            print(f"the call's recording: {found}", flush=True)
            self.found = found
        except film.Unplayable as problem:
            self.failures.append(f"the call's recording: {problem}")

    async def rest(self):
        """When all is over, nothing is left open."""
        end = time.monotonic() + BACK_WITHIN_S
        while (count := self.house.descriptors()) > self.before_descriptors + 10:
            if time.monotonic() > end:
                self.failures.append(f"{count} files are open a minute later, {self.before_descriptors} were before")
                break
            await asyncio.sleep(0.5)

    def report(self):
        lines = ["| attack | what is tried | rounds | longest still of the call, s | peak, MB | afterwards, MB | what came of it |", "|---" * 7 + "|"]
        for row in sorted(self.rows.values(), key=lambda row: list(ATTACKS).index(row.name)):
            notes = ", ".join(f"{what}: {count}" for what, count in sorted(row.notes.items()))
            result = notes if not row.problems else "**" + "; ".join(row.problems) + "** " + notes
            lines.append(f"| {row.name} | {ATTACKS[row.name][1]} | {row.rounds} | {row.freeze_s:.2f} | {row.peak_mb:.0f} | {row.after_mb:.0f} | {result} |")
        if len(self.samples) > 1:
            lines += ["", "Resident memory and open files over time, after each attack:", "", "| minute | MB | files |", "|---|---|---|"]
            began = self.samples[0][0]
            for at, mb, files in self.samples[:: max(1, len(self.samples) // 24)]:
                lines.append(f"| {(at - began) / 60:.0f} | {mb:.0f} | {files} |")
        return "\n".join(lines) + "\n"


INTRODUCTION = """# Under attack

`scripts/abuse` writes this page. Two people talk in a room and are recorded, by the real program, which may have {memory} MB of data and dies of more.
A hostile guest, page, client or passer-by tries everything below beside it, on the same two cores; the seed is {seed}. It is wanted that the program
lives, that the call's picture never stands still for {freeze} s, that memory is back within a minute to what it was ({before:.0f} MB) and {back} MB, that nobody but the
attacker is thrown out, that the recording is complete by content, that no file stays open and no ERROR is in the log. `make test` tries a fiftieth of it.

"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", help="part of an attack's name")
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    siege = Siege(options)
    # Whoever ends it ends what it started, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        asyncio.run(siege.run())
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        siege.failures.append(str(error) or traceback.format_exc())
        traceback.print_exception(error)
    siege.failures += [f"{row.name}: {problem}" for row in siege.rows.values() for problem in row.problems]
    if options.report and siege.rows:
        words = {"memory": MEMORY_BYTES >> 20, "seed": options.seed, "freeze": FREEZE_S, "before": siege.before_mb, "back": BACK_TO_MB}
        options.report.write_text(INTRODUCTION.format(**words) + siege.report())
    for failure in siege.failures:
        print(f"FAILED: {failure[:1500]}", file=sys.stderr)
    if siege.failures:
        print(f"kept for you to look at: {siege.folder}", file=sys.stderr)
    else:
        subprocess.run(["rm", "-rf", str(siege.folder)], check=True)
        print(f"{len(siege.rows)} attacks: nobody noticed")
    sys.stdout.flush()
    sys.stderr.flush()
    # The clients' own library does not always end.
    os._exit(1 if siege.failures else 0)


main()
