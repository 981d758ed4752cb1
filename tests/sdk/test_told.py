"""What a stock LiveKit client is told without asking: tracks without media, speakers, how connections are, how many there are."""

import asyncio

import pytest
from livekit import rtc

from clients import Camera, join, token, until

pytestmark = pytest.mark.asyncio


async def test_a_camera_that_shows_nothing_yet_is_there_and_goes_when_it_is_unpublished(media):
    ada, bob = await join(media, "ada", "still"), await join(media, "bob", "still")
    told = []
    for event in ("track_published", "track_subscribed", "track_unpublished"):
        bob.on(event, lambda *_, event=event: told.append(event))
    # No frame is ever captured.
    track = rtc.LocalVideoTrack.create_video_track("canvas", rtc.VideoSource(320, 240))
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, simulcast=False)
    publication = await ada.local_participant.publish_track(track, options)
    await until(lambda: "track_subscribed" in told, "the subscription to a track without media")
    seen = bob.remote_participants["ada"].track_publications[publication.sid]
    assert (seen.name, seen.width, seen.height) == ("canvas", 320, 240)
    await ada.local_participant.unpublish_track(publication.sid)
    await until(lambda: "track_unpublished" in told, "the end of it")
    assert told.count("track_published") == 1
    await asyncio.gather(ada.disconnect(), bob.disconnect())


async def test_everybody_hears_how_they_are_connected_and_how_many_there_are(media):
    ada, bob = await join(media, "ada", "told"), await join(media, "bob", "told")
    good = {}

    def changed(participant, quality):
        good[participant.identity] = quality

    bob.on("connection_quality_changed", changed)
    camera = Camera((255, 0, 0, 255), 440)
    await camera.publish(ada)
    excellent = rtc.ConnectionQuality.QUALITY_EXCELLENT
    await until(lambda: good == {"ada": excellent, "bob": excellent}, "the quality of both connections", 30)
    await until(lambda: (bob.num_participants, bob.num_publishers) == (2, 1), "the counts", 10)
    camera.stop()
    await ada.disconnect()
    await until(lambda: (bob.num_participants, bob.num_publishers) == (1, 0), "the counts without her", 10)
    await bob.disconnect()


async def test_speakers_are_told_to_those_who_hear_them_alone(media):
    ada, bob = await join(media, "ada", "speak"), await join(media, "bob", "speak")
    deaf = rtc.Room()
    await deaf.connect(
        media.url.replace("http", "ws"), token("deaf", "speak"), rtc.RoomOptions(auto_subscribe=False)
    )
    heard = {"bob": [], "deaf": []}
    for name, session in (("bob", bob), ("deaf", deaf)):
        session.on(
            "active_speakers_changed",
            lambda speakers, name=name: heard[name].append([speaker.identity for speaker in speakers]),
        )
    camera = Camera((255, 0, 0, 255), 440)
    await camera.publish(ada)
    await until(lambda: ["ada"] in heard["bob"], "the speaker being told")
    camera.stop()
    await until(lambda: heard["bob"][-1] == [], "the speaker falling silent")
    assert heard["deaf"] == []
    await asyncio.gather(ada.disconnect(), bob.disconnect(), deaf.disconnect())
