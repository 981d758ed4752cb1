"""A stock LiveKit client whose picture tells when it was taken, and whose sound tells the second.

```text
 ┌─┬─┬─┬─┬─┬─┬─┬─┐  bits 0..7 of the tick, white for 1     a tick is 20 ms of the person's clock
 ├─┼─┼─┼─┼─┼─┼─┼─┤  bits 8..15                             the sound is TONES_HZ[second % 12]
 └─┴─┴─┴─┘#│ │#│ │  free for a name label; a mark by which the picture is known as one
```
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


def picture(tick):
    cells = np.zeros((3, 8), dtype=np.uint8)
    bits = [(tick >> bit) & 1 for bit in range(BITS)]
    cells[0], cells[1] = bits[:8], bits[8:]
    cells[2, 4:] = MARK
    luma = (16 + 219 * cells).repeat(HEIGHT // 3, axis=0).repeat(WIDTH // 8, axis=1)
    return luma.astype(np.uint8).tobytes() + bytes([128]) * (WIDTH * HEIGHT // 2)


class Person:
    """Somebody in a room. `clock` is the person's own time in seconds, as their picture shows it."""

    def __init__(self):
        self.began = time.monotonic()
        self.stalls = []
        self.room = rtc.Room()
        self.tasks = []

    def clock(self):
        return time.monotonic() - self.began

    async def join(self, url, token):
        await asyncio.wait_for(self.room.connect(url.replace("http", "ws"), token), 20)
        video = rtc.VideoSource(WIDTH, HEIGHT)
        audio = rtc.AudioSource(RATE, 1, queue_size_ms=200)
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
        at = 0
        while True:
            if self.clock() - at / RATE > LATE_S:
                self.stalls.append((at / RATE, self.clock()))
                at = int(self.clock() * RATE)
            hertz = TONES_HZ[at // RATE % len(TONES_HZ)]
            times = np.arange(at, at + BLOCK) / RATE
            samples = (np.sin(2 * np.pi * hertz * times) * 12000).astype(np.int16)
            await source.capture_frame(rtc.AudioFrame(samples.tobytes(), RATE, 1, BLOCK))
            at += BLOCK

    async def leave(self):
        for task in self.tasks:
            task.cancel()
        try:
            await asyncio.wait_for(self.room.disconnect(), 5)
        except (asyncio.TimeoutError, Exception):  # Its server may be dead.
            pass
