"""Somebody who watches a call, in a process of their own, and says how long its picture stood still.

    python tests/abuse/watch.py ROOM_URL TOKEN      prints one JSON object per quarter of a second

As a module it is what tests work with: [`Watcher`].
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

JOINED_S = 40
TELL_EVERY_S = 0.25


class Watcher:
    """A participant that receives the call's picture."""

    def __init__(self):
        self.process, self.frames = None, 0
        self.still_s = 0.0
        self.sees = threading.Event()

    async def join(self, url, token):
        command = [sys.executable, str(Path(__file__)), url, token]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self._listen, daemon=True).start()
        assert await asyncio.to_thread(self.sees.wait, JOINED_S), "the watcher sees nothing of the call"

    def _listen(self):
        for line in self.process.stdout:
            said = json.loads(line)
            self.frames = said["frames"]
            self.still_s = max(self.still_s, said["still"])
            self.sees.set()

    def take_still(self):
        """The longest time without a new picture since this was asked for last."""
        still, self.still_s = self.still_s, 0.0
        return still

    def is_there(self):
        return self.process.poll() is None

    def end(self):
        self.process.kill()
        self.process.wait()


async def watch(url, token):
    from livekit import rtc

    room, seen = rtc.Room(), {"frames": 0, "last": None, "still": 0.0}

    async def look(track):
        async for _ in rtc.VideoStream(track):
            now = time.monotonic()
            if seen["last"]:
                seen["still"] = max(seen["still"], now - seen["last"])
            seen["last"], seen["frames"] = now, seen["frames"] + 1

    tasks = []

    @room.on("track_subscribed")
    def _subscribed(track, _publication, _participant):
        if track.kind == rtc.TrackKind.KIND_VIDEO and not tasks:
            tasks.append(asyncio.create_task(look(track)))

    gone = asyncio.Event()
    room.on("disconnected", lambda *_: gone.set())
    await asyncio.wait_for(room.connect(url.replace("http", "ws"), token), 20)
    while not gone.is_set():
        await asyncio.sleep(TELL_EVERY_S)
        if seen["last"]:
            still = max(seen["still"], time.monotonic() - seen["last"])
            print(json.dumps({"frames": seen["frames"], "still": still}), flush=True)
            seen["still"] = 0.0


if __name__ == "__main__":
    asyncio.run(watch(sys.argv[1], sys.argv[2]))
    # The client's own library does not always end.
    os._exit(0)
