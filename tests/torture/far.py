"""A [`person.Person`] in a process of its own: it can be stopped, and stand behind a network.

    python tests/torture/far.py ROOM_URL TOKEN BEGAN QUEUE_MS      reads one JSON object per line of what is to be done

As a module it is what tests work with: [`FarPerson`], with the same words as `Person`.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from person import Person

JOINED_S = 40


class FarPerson:
    """Somebody in a room, in a process of their own; `within` is put before the command, as in `nsenter --net=...`."""

    def __init__(self, queue_ms=0, within=()):
        self.began = time.monotonic()
        self.queue_ms, self.within = queue_ms, within
        self.stalls, self.process = [], None
        self.is_there = threading.Event()

    def clock(self):
        return time.monotonic() - self.began

    async def join(self, url, token):
        command = [*self.within, sys.executable, str(Path(__file__)), url, token, repr(self.began), str(self.queue_ms)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self._listen, daemon=True).start()
        there = await asyncio.to_thread(self.is_there.wait, JOINED_S)
        assert there and self.process.poll() is None, "the client in a process of its own does not join"

    def _listen(self):
        for line in self.process.stdout:
            said = json.loads(line)
            self.stalls += [tuple(stall) for stall in said.get("stalls", ())]
            if "joined" in said:
                self.is_there.set()
        self.is_there.set()

    def _ask(self, **what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def silence(self, seconds):
        began = self.clock()
        self._ask(silence=seconds)
        return began, began + seconds

    def burst(self, seconds):
        began = self.clock()
        self._ask(burst=seconds)
        return began, began + seconds

    def signal(self, what):
        self.process.send_signal(what)

    async def leave(self):
        if self.process:
            self.process.stdin.close()
            try:
                await asyncio.to_thread(self.process.wait, 8)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


async def live(url, token, began, queue_ms):
    person = Person(queue_ms, began)
    await person.join(url, token)
    say(joined=person.clock())
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    telling = asyncio.create_task(tell(person))
    while line := await reader.readline():
        for what, seconds in json.loads(line).items():
            {"silence": person.silence, "burst": person.burst}[what](seconds)
    telling.cancel()
    await person.leave()


async def tell(person):
    """Stalls, as they happen."""
    told = 0
    while True:
        await asyncio.sleep(0.1)
        if len(person.stalls) > told:
            say(stalls=person.stalls[told:])
            told = len(person.stalls)


def say(**what):
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    asyncio.run(live(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])))
    # The clients' own library does not always end.
    os._exit(0)
