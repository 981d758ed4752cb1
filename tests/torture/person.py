"""A stock LiveKit client whose picture tells when it was taken, and whose sound tells the second.

```text
 ┌─┬─┬─┬─┬─┬─┬─┬─┐  bits 0..7 of the tick, white for 1     a tick is 20 ms of the person's clock
 ├─┼─┼─┼─┼─┼─┼─┼─┤  bits 8..15                             the sound is TONES_HZ[second % 12]
 └─┴─┴─┴─┘#│ │#│ │  free for a name label; a mark by which the picture is known as one
```

[`Person`] lives in the test's process. `far.py` runs one in a process of its own, which can be stopped and can stand behind a network.
"""

import asyncio
import time

import numpy as np
from livekit import rtc

WIDTH, HEIGHT, FPS = 320, 180, 15
TICK_S = 0.02
TONES_HZ = [500 + 100 * n for n in range(12)]
BITS = 16
MARK = (1, 0, 1, 0)
RATE = 48000
BLOCK = RATE // 100
# Sound that is late by more than this is left out: it would be heard too late for ever.
LATE_S = 0.15
# Silence and stills of our own making, on a machine that has other things to do.
STALL_S = 0.2
QUEUE_MS = 200


def picture(tick):
    cells = np.zeros((3, 8), dtype=np.uint8)
    bits = [(tick >> bit) & 1 for bit in range(BITS)]
    cells[0], cells[1] = bits[:8], bits[8:]
    cells[2, 4:] = MARK
    luma = (16 + 219 * cells).repeat(HEIGHT // 3, axis=0).repeat(WIDTH // 8, axis=1)
    return luma.astype(np.uint8).tobytes() + bytes([128]) * (WIDTH * HEIGHT // 2)


def sound(at, count):
    """`count` samples from sample `at` of the person's clock on."""
    times = np.arange(at, at + count)
    hertz = np.array(TONES_HZ)[times // RATE % len(TONES_HZ)]
    return (np.sin(2 * np.pi * hertz * times / RATE) * 12000).astype(np.int16)


class Person:
    """Somebody in a room. `clock` is the person's own time in seconds, as their picture shows it.

    With a queue of 0 ms the client sends sound in the moment in which it is given it, and nothing while it is given none: its RTP time
    goes on without a gap then, as with any microphone that stands still.
    """

    def __init__(self, queue_ms=QUEUE_MS, began=None):
        self.began = time.monotonic() if began is None else began
        self.queue_ms = queue_ms
        self.stalls = []
        self.room = rtc.Room()
        self.tasks = []
        # Until then the microphone is silent; until then it keeps what it hears, and then gives all of it at once.
        self.silent_until_s = self.held_until_s = 0.0

    def clock(self):
        return time.monotonic() - self.began

    async def join(self, url, token):
        await asyncio.wait_for(self.room.connect(url.replace("http", "ws"), token), 20)
        video = rtc.VideoSource(WIDTH, HEIGHT)
        audio = rtc.AudioSource(RATE, 1, queue_size_ms=self.queue_ms)
        self.tasks = [asyncio.create_task(self._show(video)), asyncio.create_task(self._sound(audio))]
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            simulcast=False,
            video_encoding=rtc.VideoEncoding(max_bitrate=300_000, max_framerate=FPS),
        )
        camera = rtc.LocalVideoTrack.create_video_track("camera", video)
        await self.room.local_participant.publish_track(camera, options)
        microphone = rtc.LocalAudioTrack.create_audio_track("microphone", audio)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.room.local_participant.publish_track(microphone, options)
        # Until media flow: a recording is to begin in the middle of a call.
        await asyncio.sleep(1)

    def silence(self, seconds):
        """The microphone stands still from now on; gives when, in the person's clock."""
        began = self.clock()
        self.silent_until_s = began + seconds
        return began, self.silent_until_s

    def burst(self, seconds):
        """What the microphone hears from now on comes late, and at once; gives from when until when."""
        began = self.clock()
        self.held_until_s = began + seconds
        return began, self.held_until_s

    async def _show(self, source):
        last = self.clock()
        while True:
            now = self.clock()
            if now - last > STALL_S:
                self.stalls.append((last, now))
            last = now
            data = picture(round(now / TICK_S))
            source.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.I420, data))
            await asyncio.sleep(1 / FPS)

    async def _sound(self, source):
        # Whoever comes back into a call has a clock that is older than they are.
        at = int(self.clock() * RATE)
        while True:
            if self.clock() < self.silent_until_s:
                await asyncio.sleep(self.silent_until_s - self.clock())
                at = int(self.clock() * RATE)
            if self.clock() < self.held_until_s:
                await asyncio.sleep(self.held_until_s - self.clock())
                # All of it, however late. A machine that is too busy to give it faster than it was heard is another stall.
                until = self.clock() + 2 * LATE_S
                while at / RATE < self.clock() < until:
                    await self._give(source, at)
                    at += BLOCK
            if self.clock() - at / RATE > LATE_S:
                self.stalls.append((at / RATE, self.clock()))
                at = int(self.clock() * RATE)
            if self.queue_ms == 0:
                # Nobody else keeps the time.
                await asyncio.sleep(max(0, (at + BLOCK) / RATE - self.clock()))
            await self._give(source, at)
            at += BLOCK

    async def _give(self, source, at):
        await source.capture_frame(rtc.AudioFrame(sound(at, BLOCK).tobytes(), RATE, 1, BLOCK))

    async def leave(self):
        for task in self.tasks:
            task.cancel()
        try:
            await asyncio.wait_for(self.room.disconnect(), 5)
        except (asyncio.TimeoutError, Exception):  # Its server may be dead.
            pass
