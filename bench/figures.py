"""Measures what the design promises: starts the program, loads it with stock LiveKit clients, and prints a table.

    python bench/figures.py [--rounds 12] [--pairs 3] [--seconds 15] [--json FILE]

Every ratio is of two figures of this very run. Clients encode in this process: their cost is not the server's. What they really
sent is measured too: a busy machine makes them send less than 720p30, and then the cost per publisher is of something else.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
import traceback
from pathlib import Path

import numpy as np
from livekit import rtc

from server import Server, p95, show, until_playable

ROOT = Path(__file__).parents[1]
COST = Path(os.environ.get("COST_BIN", str(ROOT / "target/release/examples/cost")))
WIDTH, HEIGHT, FPS, BITRATE = 1280, 720, 30, 1_700_000


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
        self.camera = camera
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

    async def sent(self):
        """What the encoder has made of the camera so far."""
        stats = await self.camera.get_stats()
        found = next(stat.outbound_rtp for stat in stats if stat.HasField("outbound_rtp"))
        codecs = {stat.codec.rtc.id: stat.codec.codec.mime_type for stat in stats if stat.HasField("codec")}
        return {
            "at": time.monotonic(),
            "codec": codecs.get(found.stream.codec_id, "unknown"),
            "height": found.outbound.frame_height,
            "frames": found.outbound.frames_sent,
            "bytes": found.sent.bytes_sent,
        }

    async def leave(self):
        for task in self.tasks:
            task.cancel()
        await self.room.disconnect()


async def everybody_told(people, began):
    await asyncio.wait_for(asyncio.gather(*(person.told.wait() for person in people)), 20)
    for person in people:
        person.told.clear()
    return max(person.at for person in people) - began


class Window:
    """A stretch of the call: cores used by the server itself and by its composers, and what each camera sent."""

    @staticmethod
    async def of(server, people, seconds):
        window = Window()
        composers = {pid: server.cpu(pid) for pid in server.composers()}
        sent = [await person.sent() for person in people]
        cpu, began = server.cpu(), time.monotonic()
        await asyncio.sleep(seconds)
        passed = time.monotonic() - began
        window.server = (server.cpu() - cpu) / passed
        still = set(server.composers())
        window.composers = sum(server.cpu(pid) - used for pid, used in composers.items() if pid in still) / passed
        window.cameras = []
        for person, before in zip(people, sent):
            now = await person.sent()
            elapsed = now["at"] - before["at"]
            window.cameras.append(
                {
                    "codec": now["codec"],
                    "height": min(before["height"], now["height"]),
                    "fps": (now["frames"] - before["frames"]) / elapsed,
                    "mbps": (now["bytes"] - before["bytes"]) * 8e-6 / elapsed,
                }
            )
        return window


def cost_of_composing():
    """The composer's own benchmark: its ratio to decoding and encoding alone."""
    return subprocess.run([str(COST)], check=True, capture_output=True, text=True).stdout.strip()


async def start(server, people):
    began = time.monotonic()
    await server.acall("/recordings/start", {"roomName": "bench"})
    return await everybody_told(people, began)


async def stop(server, people):
    """Seconds until everybody is told, and until it plays."""
    began = time.monotonic()
    name = (await server.acall("/recordings/stop", {"roomName": "bench"}))["recording"]["name"]
    told = await everybody_told(people, began)
    return told, await asyncio.to_thread(until_playable, server, name, began)


async def measure_costs(server, people, options, figures):
    """Windows with and without a recording take turns, so that neither has the busier half of the machine's day."""
    calling, recording, plays = [], [], []
    for _ in range(options.pairs):
        calling.append(await Window.of(server, people, options.seconds))
        await start(server, people)
        await asyncio.sleep(3)
        recording.append(await Window.of(server, people, options.seconds))
        resident = server.resident_mb()
        composers = sum(server.resident_mb(pid) for pid in server.composers())
        plays.append((await stop(server, people))[1])
        await asyncio.sleep(2)
    figures["resident, with a recorded two-person call, MB"] = (resident, None)
    figures["resident, its composer, MB"] = (composers, None)
    figures["server, two-person call, cores"] = (statistics.median(w.server for w in calling), None)
    figures["server, the same while recording, cores"] = (statistics.median(w.server for w in recording), None)
    capture = [(on.server - off.server) / len(people) for off, on in zip(calling, recording)]
    figures[f"capture, per publisher, median of {len(capture)}, cores"] = (statistics.median(capture), 0.02)
    figures["capture, per publisher, least, cores"] = (min(capture), None)
    figures["capture, per publisher, most, cores"] = (max(capture), None)
    figures["composer beside it (two people), cores"] = (statistics.median(w.composers for w in recording), None)
    for state, windows in (("calling", calling), ("recording", recording)):
        cameras = [camera for window in windows for camera in window.cameras]
        figures[f"cameras while {state}: lines, least"] = (min(camera["height"] for camera in cameras), None)
        figures[f"cameras while {state}: pictures/s, least"] = (min(camera["fps"] for camera in cameras), None)
        figures[f"cameras while {state}: Mbit/s, mean"] = (statistics.mean(c["mbps"] for c in cameras), None)
    figures[f"stop pressed to playable, of {options.seconds + 3:.0f} s, most, s"] = (max(plays), 2.0)
    cameras = [camera for window in calling + recording for camera in window.cameras]
    lesser = [c for c in cameras if c["height"] < HEIGHT or c["fps"] < FPS * 0.95 or c["codec"].lower() != "video/vp8"]
    if not lesser:
        return []
    return [f"{len(lesser)} of {len(cameras)} camera windows were not VP8 at 720p30: 'capture' is not of what its goal speaks of"]


async def measure_latencies(server, people, options, figures):
    told, stopped, playable = [], [], []
    for _ in range(options.rounds):
        told.append(await start(server, people))
        await asyncio.sleep(3)
        after, plays = await stop(server, people)
        stopped.append(after)
        playable.append(plays)
    for what, values, goal in (
        ("start pressed to everybody told", told, 0.5),
        ("stop pressed to everybody told", stopped, 0.3),
        ("stop pressed to playable, of 3 s", playable, 2.0),
    ):
        figures[f"{what}, median of {len(values)}, s"] = (statistics.median(values), None)
        figures[f"{what}, p95, s"] = (p95(values), goal)


async def measure(options):
    figures = {}
    server = Server()
    try:
        figures["started in, s"] = (server.started_in, 0.2)
        await asyncio.sleep(3)
        figures["resident, idle, MB"] = (server.resident_mb(), 60)
        frames = film()
        people = [Person() for _ in range(2)]
        for name, person in zip(("Ada", "Bob"), people):
            await person.join(server, "bench", name, frames)
        await asyncio.sleep(8)
        remarks = await measure_costs(server, people, options, figures)
        await measure_latencies(server, people, options, figures)
        for person in people:
            await person.leave()
    finally:
        server.stop()
    return figures, remarks


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n", flush=True)
    figures, remarks = asyncio.run(measure(options))
    show(figures)
    for remark in remarks:
        print(f"\nNOTE: {remark}")
    if options.json:
        options.json.write_text(json.dumps({what: value for what, (value, _) in figures.items()}, indent=2) + "\n")
    print("\ncomposing against decoding and encoding alone (goal: ratio 1.2, four people 0.45 cores):", flush=True)
    print(cost_of_composing())


if __name__ == "__main__":
    try:
        main()
        code = 0
    except Exception:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # The clients' own library does not always end.
    os._exit(code)
