"""A stock LiveKit client whose signalling breaks off, by one peer connection and by two: the call goes on, and nobody else sees anything of it."""

import asyncio

import pytest
from livekit import rtc

from clients import Camera, first_picture, join, until

pytestmark = pytest.mark.asyncio

VIDEO = rtc.TrackKind.KIND_VIDEO


async def comes_back(session):
    """Its signalling breaks off, and is taken up again."""
    came_back = asyncio.Event()
    session.once("reconnected", lambda *_: came_back.set())
    await session.simulate_scenario(rtc.SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT)
    await asyncio.wait_for(came_back.wait(), timeout=30)


@pytest.mark.parametrize("is_single", [True, False], ids=["by one connection", "by two connections"])
async def test_a_call_goes_on_while_signalling_breaks_off(media, is_single):
    room, options = f"resumed {is_single}", rtc.RoomOptions(single_peer_connection=is_single)
    ada, bob = await join(media, "ada", room, options), await join(media, "bob", room, options)
    tracks, told, got = [], [], []
    bob.on("track_subscribed", lambda track, *_: tracks.append(track))
    for event in ("participant_connected", "participant_disconnected", "track_unpublished", "track_unsubscribed"):
        bob.on(event, lambda *_, event=event: told.append(event))
    bob.on("data_received", lambda packet: got.append(bytes(packet.data)))
    camera = Camera((255, 0, 0, 255), 440)
    await camera.publish(ada)
    await until(lambda: len(tracks) == 2, "the subscriptions")
    picture = next(track for track in tracks if track.kind == VIDEO)
    await asyncio.wait_for(first_picture(picture), timeout=15)
    sids = ada.local_participant.sid, bob.local_participant.sid

    for session in (ada, bob):
        await comes_back(session)
        await asyncio.wait_for(first_picture(picture), timeout=15)
    assert (ada.local_participant.sid, bob.local_participant.sid) == sids, "the sessions are the same"
    await ada.local_participant.publish_data(b"I am back", reliable=True)
    await until(lambda: got == [b"I am back"], "what she says")
    assert told == [] and len(tracks) == 2

    # What comes and goes from then on is negotiated as before.
    screen = rtc.LocalVideoTrack.create_video_track("screen", camera.video)
    shared = await ada.local_participant.publish_track(
        screen, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_SCREENSHARE, simulcast=False)
    )
    await until(lambda: len(tracks) == 3, "the subscription to what was published afterwards")
    await asyncio.wait_for(first_picture(tracks[2]), timeout=15)
    await ada.local_participant.unpublish_track(shared.sid)
    await until(lambda: "track_unpublished" in told, "its end")
    camera.stop()
    await asyncio.gather(ada.disconnect(), bob.disconnect())
