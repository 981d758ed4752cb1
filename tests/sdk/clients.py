"""Stock LiveKit clients for tests: joining, a camera with a microphone, and what is seen and heard."""

import asyncio

import numpy as np
from livekit import api, rtc

from conftest import KEY, SECRET


def token(identity, room, **grants):
    grants = api.VideoGrants(room_join=True, room=room, **grants)
    return api.AccessToken(KEY, SECRET).with_identity(identity).with_name(identity.title()).with_grants(grants).to_jwt()


async def join(media, identity, room, options=None, **grants):
    session = rtc.Room()
    await session.connect(media.url.replace("http", "ws"), token(identity, room, **grants), options or rtc.RoomOptions())
    return session


async def until(condition, what, seconds=15):
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {seconds} s")


class Camera:
    """A picture of one colour at 15 frames a second, and a tone."""

    def __init__(self, rgba, hertz):
        self.video = rtc.VideoSource(640, 360)
        self.audio = rtc.AudioSource(48000, 1)
        self.frame = rtc.VideoFrame(640, 360, rtc.VideoBufferType.RGBA, bytes(rgba) * (640 * 360))
        self.hertz = hertz
        self.tasks = []

    async def publish(self, session):
        video = rtc.LocalVideoTrack.create_video_track("camera", self.video)
        audio = rtc.LocalAudioTrack.create_audio_track("microphone", self.audio)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, simulcast=False)
        self.tasks = [asyncio.create_task(self._show()), asyncio.create_task(self._sound())]
        camera = await session.local_participant.publish_track(video, options)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        microphone = await session.local_participant.publish_track(audio, options)
        return camera, microphone

    async def _show(self):
        while True:
            self.video.capture_frame(self.frame)
            await asyncio.sleep(1 / 15)

    async def _sound(self):
        at = 0
        while True:
            times = np.arange(at, at + 480) / 48000
            samples = (np.sin(2 * np.pi * self.hertz * times) * 12000).astype(np.int16)
            await self.audio.capture_frame(rtc.AudioFrame(samples.tobytes(), 48000, 1, 480))
            at += 480

    def stop(self):
        for task in self.tasks:
            task.cancel()


async def first_picture(track):
    stream = rtc.VideoStream(track, format=rtc.VideoBufferType.RGBA)
    seen = 0
    async for event in stream:
        seen += 1
        if seen == 10:
            frame = event.frame
            pixels = np.frombuffer(frame.data, dtype=np.uint8).reshape(frame.height, frame.width, 4)
            await stream.aclose()
            return pixels[frame.height // 2, frame.width // 2]


async def loudest_hertz(track):
    stream = rtc.AudioStream(track, sample_rate=48000, num_channels=1)
    samples = np.empty(0, dtype=np.int16)
    async for event in stream:
        samples = np.concatenate([samples, np.frombuffer(event.frame.data, dtype=np.int16)])
        if len(samples) >= 48000 * 2:
            break
    await stream.aclose()
    heard = samples[-48000:].astype(float)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert spectrum.max() > 1e5, "nothing is heard"
    return float(np.argmax(spectrum))
