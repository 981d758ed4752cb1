"""A client behind a NAT that gives it other ports in the middle of a call: how long picture and sound stand still, in both directions.

    python tests/torture/moved.py [--moves N] [--binary PATH]

It prints one line for each move, and ends with 1 where a gap reached a second. The client is the stock one, in a network namespace
whose only way out is `relay.py`.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from livekit import api, rtc

from person import Person
from relay import Relay

ROOT = Path(__file__).parents[2]
KEY, SECRET = "devkey", "secret"
LOUD = 2000
# Until a call flows evenly, and what is looked at after each move.
SETTLE_S, LOOK_S = 8, 5
GAP_S = 1.0


def token(identity):
    grants = api.VideoGrants(room_join=True, room="moved")
    return api.AccessToken(KEY, SECRET).with_identity(identity).with_grants(grants).to_jwt()


class Watch:
    """When pictures and loud sound of the others arrived."""

    def __init__(self, room):
        self.times = {"picture": [], "sound": []}
        self.tasks = []
        room.on("track_subscribed", lambda track, *_: self.tasks.append(asyncio.ensure_future(self.follow(track))))

    async def follow(self, track):
        if track.kind == rtc.TrackKind.KIND_VIDEO:
            async for _ in rtc.VideoStream(track):
                self.times["picture"].append(time.monotonic())
        else:
            async for event in rtc.AudioStream(track, sample_rate=48000, num_channels=1):
                samples = np.frombuffer(event.frame.data, dtype=np.int16).astype(float)
                if np.sqrt(np.mean(samples**2)) > LOUD:
                    self.times["sound"].append(time.monotonic())


def gap(times, since, until):
    inside = [since] + [at for at in times if since <= at <= until] + [until]
    return max(later - earlier for earlier, later in zip(inside, inside[1:]))


async def far(url):
    person = Person()
    watch = Watch(person.room)
    await person.join(url, token("far"))
    print(json.dumps("joined"), flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        print(json.dumps(watch.times), flush=True)


async def run(options):
    with tempfile.TemporaryDirectory(prefix="reelroom-moved-") as folder:
        environment = {"PATH": os.environ["PATH"], "SERVER_PORT": "0", "UDP_PORT": "0", "DATA_DIR": folder, "LOG": os.environ.get("LOG", "info")}
        log = open(options.log or Path(folder) / "log", "w")
        server = subprocess.Popen([options.binary, "media"], env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True)
        url = server.stdout.readline().split()[-1]
        http, media = int(url.rsplit(":", 1)[1].strip("/")), 0
        while not media:
            lines = [line for line in Path(log.name).read_text().splitlines() if "media is received" in line]
            media = int(lines[0].split("port=")[1].split()[0]) if lines else 0
        relay = Relay(udp=[media], tcp=[http])
        client = subprocess.Popen([*relay.within, sys.executable, __file__, "--far", f"http://127.0.0.1:{http}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        worst = 0.0
        try:
            near = Person()
            watch = Watch(near.room)
            await near.join(url, token("near"))
            assert await asyncio.to_thread(client.stdout.readline), "the far client does not join"
            await asyncio.sleep(SETTLE_S)
            moves = []
            for _ in range(options.moves):
                moves.append(time.monotonic())
                relay.move()
                await asyncio.sleep(LOOK_S + SETTLE_S / 2)
            client.stdin.write("\n")
            client.stdin.flush()
            others = json.loads(await asyncio.to_thread(client.stdout.readline))
            for number, at in enumerate(moves):
                line = {}
                for direction, times in (("up", watch.times), ("down", others)):
                    for what, arrived in times.items():
                        line[f"{direction} {what}"] = round(gap(arrived, at - 0.3, at + LOOK_S), 2)
                worst = max(worst, *line.values())
                print(number + 1, json.dumps(line), flush=True)
            print("worst gap", round(worst, 2), "s", flush=True)
        finally:
            client.kill()
            relay.end()
            server.terminate()
            server.wait(20)
        return worst


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--moves", type=int, default=4)
    parser.add_argument("--binary", default=str(ROOT / "target/debug/reelroom"))
    parser.add_argument("--log")
    parser.add_argument("--far")
    options = parser.parse_args()
    if options.far:
        asyncio.run(far(options.far))
        os._exit(0)
    worst = asyncio.run(run(options))
    # The clients' own library does not always end.
    os._exit(0 if worst < GAP_S else 1)


if __name__ == "__main__":
    main()
