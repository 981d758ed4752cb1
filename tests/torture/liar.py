"""Somebody whose sender reports lie: the load tool's client, that plays pictures and sound of a [`person.Person`], coded before.

The reports of a stock client cannot be made to lie from outside: they are encrypted, and its clock is that of its media too.
"""

import asyncio
import os
import subprocess
import threading
import time
from pathlib import Path

from person import HEIGHT, RATE, TICK_S, WIDTH, picture, sound

LOAD = os.environ.get("LOAD_BIN", str(Path(__file__).parents[2] / "target/debug/reelroom-load"))
# The load tool's.
FPS = 30
LENGTH_S = 30
JOINED_S = 40
MAKING = threading.Lock()


def make_clip(folder):
    """(pictures, sound): made once for all rounds."""
    pictures, voice = folder / "clip.ivf", folder / "clip.opus"
    with MAKING:
        if not voice.exists():
            encode_both(pictures, voice)
    return pictures, voice


def encode_both(pictures, voice):
    raw = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS)]
    # A keyframe twice a second: it cannot be asked for one. One thread: libvpx's spin while they wait for each other.
    vp8 = ["-c:v", "libvpx", "-b:v", "400k", "-deadline", "realtime", "-cpu-used", "8", "-threads", "1", "-g", str(FPS // 2)]
    encode(raw, [*vp8, "-f", "ivf"], pictures, (picture(round(n / FPS / TICK_S)) for n in range(LENGTH_S * FPS)))
    raw = ["-f", "s16le", "-ar", str(RATE), "-ac", "1"]
    opus = ["-c:a", "libopus", "-b:a", "48k", "-frame_duration", "20", "-f", "ogg"]
    encode(raw, opus, voice, [sound(0, LENGTH_S * RATE).tobytes()])


def encode(raw, coded, path, data):
    command = ["ffmpeg", "-v", "error", "-y", *raw, "-i", "-", *coded, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        for piece in data:
            process.stdin.write(piece)
        process.stdin.close()
        assert process.wait() == 0, command


class Liar:
    """With the same words as `Person`; `lies` are (about, from, by): "sound" or "pictures", seconds, seconds."""

    def __init__(self, folder, lies):
        self.folder, self.lies = folder, lies
        self.stalls, self.process, self.began = [], None, None

    def clock(self):
        return time.monotonic() - self.began

    async def join(self, url, token):
        pictures, voice = await asyncio.to_thread(make_clip, self.folder)
        command = [LOAD, "--url", url.replace("http", "ws"), "--token", token, "--clip", str(pictures), "--sound", str(voice)]
        command += ["--seconds", "0"]
        for about, from_s, by_s in self.lies:
            command += ["--lie", f"{about}:{from_s:.3f}:{by_s:.3f}"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = await asyncio.wait_for(asyncio.to_thread(self.process.stdout.readline), JOINED_S)
        self.began = time.monotonic()
        assert line == "playing\n", f"the load tool does not play: {line!r}"
        await asyncio.sleep(1)

    async def leave(self):
        if self.process:
            self.process.stdin.close()
            try:
                await asyncio.to_thread(self.process.wait, 8)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
