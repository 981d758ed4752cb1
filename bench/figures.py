"""Measures what the design promises: starts the program, loads it with stock LiveKit clients, and prints a table.

    REELROOM_BIN=target/release/reelroom python bench/figures.py [--rounds 12] [--seconds 20] [--json FILE]

Every ratio is of two figures of this very run. Clients encode in this process: their cost is not the server's.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
from livekit import rtc

ROOT = Path(__file__).parents[1]
BINARY = os.environ.get("REELROOM_BIN", str(ROOT / "target/release/reelroom"))
WIDTH, HEIGHT, FPS, BITRATE = 1280, 720, 30, 1_700_000
TICK = os.sysconf("SC_CLK_TCK")


class Server:
    """The program, alone in a folder of its own."""

    def __init__(self, *args):
        self.data = tempfile.TemporaryDirectory(prefix="reelroom-bench-")
        environment = {
            "PATH": os.environ["PATH"],
            "SERVER_PORT": "0",
            "UDP_PORT": "0",
            "DATA_DIR": self.data.name,
            "LOG": "warn",
        }
        began = time.monotonic()
        self.process = subprocess.Popen(
            [BINARY, *args], env=environment, cwd=self.data.name, stdout=subprocess.PIPE, text=True
        )
        self.url = self.process.stdout.readline().split()[-1]
        self.started_in = time.monotonic() - began

    def call(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=20) as answer:
            return json.load(answer)

    async def acall(self, path, body=None):
        return await asyncio.to_thread(self.call, path, body)

    def cpu(self, pid=None):
        """Seconds of processor time, without that of children."""
        fields = Path(f"/proc/{pid or self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def resident_mb(self, pid=None):
        for line in Path(f"/proc/{pid or self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0

    def composers(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        pids = set()
        for task in children.parent.parent.iterdir():
            pids.update((task / "children").read_text().split())
        return sorted(int(pid) for pid in pids)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.data.cleanup()


def film():
    """Three seconds of something that moves, as I420."""
    random = np.random.default_rng(7)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    grain = random.integers(-12, 12, (HEIGHT, WIDTH))
    frames = []
    for n in range(FPS * 3):
        turn = 2 * np.pi * n / (FPS * 3)
        luma = 110 + 60 * np.sin(x / 90 + turn) + 40 * np.cos(y / 70 - turn) + np.roll(grain, n * 5, 1)
        u = 128 + 50 * np.sin(x[::2, ::2] / 160 - turn)
        v = 128 + 50 * np.cos(y[::2, ::2] / 160 + turn)
        planes = [np.clip(plane, 16, 235).astype(np.uint8).tobytes() for plane in (luma, u, v)]
        frames.append(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.I420, b"".join(planes)))
    return frames


class Person:
    """A stock client that publishes 720p30 and a tone, and hears and sees the others."""

    async def join(self, server, room, name, frames):
        token = (await server.acall("/token", {"roomName": room, "participantName": name}))["token"]
        self.room = rtc.Room()
        self.told = asyncio.Event()
        self.at = 0.0
        self.room.on("room_updated", self._updated)
        await self.room.connect(server.url.replace("http", "ws"), token)
        self.recording = self.room.is_recording
        video, audio = rtc.VideoSource(WIDTH, HEIGHT), rtc.AudioSource(48000, 1)
        self.tasks = [asyncio.create_task(self._show(video, frames)), asyncio.create_task(self._sound(audio))]
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            simulcast=False,
            video_encoding=rtc.VideoEncoding(max_bitrate=BITRATE, max_framerate=FPS),
        )
        camera = rtc.LocalVideoTrack.create_video_track("camera", video)
        await self.room.local_participant.publish_track(camera, options)
        microphone = rtc.LocalAudioTrack.create_audio_track("microphone", audio)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.room.local_participant.publish_track(microphone, options)

    def _updated(self):
        if self.room.is_recording != self.recording:
            self.recording = self.room.is_recording
            self.at = time.monotonic()
            self.told.set()

    async def _show(self, source, frames):
        began = time.monotonic()
        n = 0
        while True:
            source.capture_frame(frames[n % len(frames)])
            n += 1
            await asyncio.sleep(max(0, began + n / FPS - time.monotonic()))

    async def _sound(self, source):
        at = 0
        while True:
            times = np.arange(at, at + 480) / 48000
            samples = (np.sin(2 * np.pi * 440 * times) * 12000).astype(np.int16)
            await source.capture_frame(rtc.AudioFrame(samples.tobytes(), 48000, 1, 480))
            at += 480

    async def leave(self):
        for task in self.tasks:
            task.cancel()
        await self.room.disconnect()


async def everybody_told(people, began):
    await asyncio.wait_for(asyncio.gather(*(person.told.wait() for person in people)), 20)
    for person in people:
        person.told.clear()
    return max(person.at for person in people) - began


async def until_playable(server, name, began):
    path = "/recordings/" + urllib.parse.quote(name, safe="")
    while True:
        listed = (await server.acall("/recordings"))["recordings"]
        if any(recording["name"] == name and recording["status"] == "complete" for recording in listed):
            break
        await asyncio.sleep(0.02)
    beginning = urllib.request.Request(server.url + path, headers={"Range": "bytes=0-1048575"})
    data = await asyncio.to_thread(lambda: urllib.request.urlopen(beginning).read())
    assert b"moov" in data[:1_048_576], "its index does not come first"
    return time.monotonic() - began


async def usage(server, seconds):
    """Cores used by the server itself, and by its composers."""
    composers = {pid: server.cpu(pid) for pid in server.composers()}
    cpu, began = server.cpu(), time.monotonic()
    await asyncio.sleep(seconds)
    passed = time.monotonic() - began
    composing = sum(server.cpu(pid) - before for pid, before in composers.items() if pid in server.composers())
    return (server.cpu() - cpu) / passed, composing / passed


def p95(values):
    return sorted(values)[max(0, int(np.ceil(len(values) * 0.95)) - 1)]


def cost_of_composing():
    """The composer's own benchmark: its ratio to decoding and encoding alone."""
    example = ROOT / "target/release/examples/cost"
    if not example.exists():
        return None
    return subprocess.run([str(example)], check=True, capture_output=True, text=True).stdout.strip()


async def measure(options):
    figures = {}
    server = Server()
    figures["started in, s"] = (server.started_in, 0.2)
    await asyncio.sleep(3)
    figures["resident, idle, MB"] = (server.resident_mb(), 60)
    frames = film()
    people = [Person() for _ in range(2)]
    for name, person in zip(("Ada", "Bob"), people):
        await person.join(server, "bench", name, frames)
    await asyncio.sleep(8)
    calling, _ = await usage(server, options.seconds)
    await server.acall("/recordings/start", {"roomName": "bench"})
    await everybody_told(people, time.monotonic())
    await asyncio.sleep(3)
    recording, composing = await usage(server, options.seconds)
    figures["resident, with a recorded two-person call, MB"] = (server.resident_mb(), None)
    composers = server.composers()
    figures["resident, its composer, MB"] = (sum(server.resident_mb(pid) for pid in composers), None)
    figures["server, two-person call, cores"] = (calling, None)
    figures["server, the same while recording, cores"] = (recording, None)
    figures["capture, per 720p30 publisher, cores"] = ((recording - calling) / len(people), 0.02)
    figures["composer beside it (two people, 720p30), cores"] = (composing, None)
    name = (await server.acall("/recordings/stop", {"roomName": "bench"}))["recording"]["name"]
    await everybody_told(people, time.monotonic())
    await until_playable(server, name, time.monotonic())

    told, stopped, playable = [], [], []
    for _ in range(options.rounds):
        began = time.monotonic()
        await server.acall("/recordings/start", {"roomName": "bench"})
        told.append(await everybody_told(people, began))
        await asyncio.sleep(3)
        began = time.monotonic()
        name = (await server.acall("/recordings/stop", {"roomName": "bench"}))["recording"]["name"]
        stopped.append(await everybody_told(people, began))
        playable.append(await until_playable(server, name, began))
    for what, values, goal in (
        ("start pressed to everybody told", told, 0.5),
        ("stop pressed to everybody told", stopped, 0.3),
        ("stop pressed to playable", playable, 2.0),
    ):
        figures[f"{what}, median of {len(values)}, s"] = (statistics.median(values), None)
        figures[f"{what}, p95, s"] = (p95(values), goal)
    for person in people:
        await person.leave()
    server.stop()
    return figures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    figures = asyncio.run(measure(options))
    print(f"load of the machine before: {load:.1f} on {os.cpu_count()} cores\n")
    print(f"{'figure':<58}{'measured':>10}{'goal':>8}{'of goal':>9}")
    for what, (value, goal) in figures.items():
        ratio = f"{value / goal:9.2f}" if goal else ""
        print(f"{what:<58}{value:>10.3f}{goal if goal else '':>8}{ratio}")
    composing = cost_of_composing()
    if composing:
        print(f"\ncomposing against decoding and encoding alone (goal 1.2):\n{composing}")
    if options.json:
        options.json.write_text(json.dumps({what: value for what, (value, _) in figures.items()}, indent=2) + "\n")
    sys.stdout.flush()
    # The clients' own library does not always end.
    os._exit(0)


main()
