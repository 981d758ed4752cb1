"""What a token does not allow is refused in the media path too, whatever a stock client tries (PyPI `livekit`)."""

import asyncio

import pytest
from livekit import rtc

from clients import Camera, join, until

pytestmark = pytest.mark.asyncio


async def test_whoever_may_not_send_data_reaches_nobody_by_packets_calls_or_streams(media):
    ada = await join(media, "ada", "silent")
    eve = await join(media, "eve", "silent", can_publish_data=False)
    bob = await join(media, "bob", "silent")
    heard, called = [], []
    ada.on("data_received", lambda packet: heard.append((packet.participant.identity, packet.data)))
    ada.register_text_stream_handler("notes", lambda _, identity: heard.append((identity, "text")))
    ada.register_byte_stream_handler("files", lambda _, identity: heard.append((identity, "bytes")))

    async def answer(call: rtc.RpcInvocationData):
        called.append(call.caller_identity)
        return "yes"

    ada.local_participant.register_rpc_method("ask", answer)
    for person in (eve, bob):
        await until(lambda: "ada" in person.remote_participants, "Ada being there")

    async def attempt(what):
        """A client may refuse by itself, or wait for what does not come."""
        try:
            await asyncio.wait_for(what, 5)
        except Exception:
            pass

    for reliable in (True, False):
        await attempt(eve.local_participant.publish_data(b"from eve", reliable=reliable))
    await attempt(eve.local_participant.send_text("from eve", topic="notes"))
    await attempt(eve.local_participant.perform_rpc(destination_identity="ada", method="ask", payload=""))
    # What comes after it arrives, so all of that would have.
    call = bob.local_participant.perform_rpc(destination_identity="ada", method="ask", payload="")
    assert await asyncio.wait_for(call, 15) == "yes"
    await bob.local_participant.publish_data(b"from bob", reliable=True)
    await until(lambda: ("bob", b"from bob") in heard, "Bob being heard")
    assert "eve" not in [identity for identity, _ in heard] and called == ["bob"]
    for session in (ada, eve, bob):
        await session.disconnect()


async def test_a_source_that_is_not_granted_is_seen_by_nobody_and_one_that_is_granted_is(media):
    ada = await join(media, "ada", "sources")
    eve = await join(media, "eve", "sources", can_publish_sources=["microphone"])
    camera = Camera((255, 0, 0, 255), 440)
    sound = rtc.LocalAudioTrack.create_audio_track("microphone", camera.audio)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    camera.tasks = [asyncio.create_task(camera._sound())]
    await asyncio.wait_for(eve.local_participant.publish_track(sound, options), 15)
    seen = ada.remote_participants["eve"].track_publications
    await until(lambda: len(seen) == 1, "the microphone")
    # As what it is, and as what she may publish.
    for source in (rtc.TrackSource.SOURCE_CAMERA, rtc.TrackSource.SOURCE_MICROPHONE):
        picture = rtc.LocalVideoTrack.create_video_track("picture", camera.video)
        options = rtc.TrackPublishOptions(source=source, simulcast=False)
        with pytest.raises(Exception):
            await asyncio.wait_for(eve.local_participant.publish_track(picture, options), 8)
    [publication] = seen.values()
    assert (publication.source, publication.kind) == (rtc.TrackSource.SOURCE_MICROPHONE, rtc.TrackKind.KIND_AUDIO)
    camera.stop()
    for session in (ada, eve):
        await session.disconnect()
