"""Two stock LiveKit clients in a call: PyPI `livekit`, which is LiveKit's own Rust SDK on libwebrtc."""

import asyncio

import pytest
from livekit import api, rtc

from clients import Camera, first_picture, join, loudest_hertz, until
from conftest import KEY, SECRET

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("is_single", [True, False], ids=["by one connection", "by two connections"])
async def test_two_participants_see_and_hear_each_other(media, is_single):
    room, options = f"call {is_single}", rtc.RoomOptions(single_peer_connection=is_single)
    ada, bob = await join(media, "ada", room, options), await join(media, "bob", room, options)
    tracks = {}
    for name, session in (("ada", ada), ("bob", bob)):

        def subscribed(track, publication, participant, name=name):
            tracks[name, track.kind] = track

        session.on("track_subscribed", subscribed)
    red, blue = Camera((255, 0, 0, 255), 440), Camera((0, 0, 255, 255), 1000)
    await red.publish(ada)
    await blue.publish(bob)
    await until(lambda: len(tracks) == 4, "everybody subscribing to everything")

    video, audio = rtc.TrackKind.KIND_VIDEO, rtc.TrackKind.KIND_AUDIO
    seen_by_bob, seen_by_ada, heard_by_bob, heard_by_ada = await asyncio.wait_for(
        asyncio.gather(
            first_picture(tracks["bob", video]),
            first_picture(tracks["ada", video]),
            loudest_hertz(tracks["bob", audio]),
            loudest_hertz(tracks["ada", audio]),
        ),
        timeout=30,
    )
    assert seen_by_bob[0] > 180 and seen_by_bob[2] < 80, seen_by_bob
    assert seen_by_ada[2] > 180 and seen_by_ada[0] < 80, seen_by_ada
    assert abs(heard_by_bob - 440) < 15 and abs(heard_by_ada - 1000) < 15

    late = await join(media, "carol", room, options)
    arrived = {}
    late.on("track_subscribed", lambda track, *_: arrived.setdefault(track.kind, track))
    for participant in late.remote_participants.values():
        for publication in participant.track_publications.values():
            if publication.track:
                arrived.setdefault(publication.kind, publication.track)
    await until(lambda: video in arrived, "a late participant's subscription")
    await asyncio.wait_for(first_picture(arrived[video]), timeout=10)

    red.stop()
    blue.stop()
    await asyncio.gather(ada.disconnect(), bob.disconnect(), late.disconnect())


async def test_mute_unpublish_and_leave_are_told(media):
    ada, bob = await join(media, "ada", "events"), await join(media, "bob", "events")
    told = []
    for event in ("track_muted", "track_unmuted", "track_unpublished", "participant_disconnected"):
        bob.on(event, lambda *_, event=event: told.append(event))
    camera = Camera((0, 255, 0, 255), 300)
    video, audio = await camera.publish(ada)
    await until(lambda: len(bob.remote_participants["ada"].track_publications) == 2, "both tracks being published")
    audio.track.mute()
    await until(lambda: "track_muted" in told, "the mute")
    audio.track.unmute()
    await until(lambda: "track_unmuted" in told, "the unmute")
    await ada.local_participant.unpublish_track(video.sid)
    await until(lambda: "track_unpublished" in told, "the unpublishing")
    camera.stop()
    await ada.disconnect()
    await until(lambda: "participant_disconnected" in told, "the leave")
    await bob.disconnect()


async def test_data_goes_to_all_or_to_one(media):
    ada, bob, carol = [await join(media, name, "data") for name in ("ada", "bob", "carol")]
    got = {"bob": [], "carol": []}
    for name, session in (("bob", bob), ("carol", carol)):
        session.on(
            "data_received",
            lambda packet, name=name: got[name].append((bytes(packet.data), packet.topic, packet.participant.identity)),
        )
    await until(lambda: len(ada.remote_participants) == 2, "everybody being there")
    await ada.local_participant.publish_data(b"to all", reliable=True, topic="chat")
    await until(lambda: got["bob"] and got["carol"], "a reliable packet")
    assert got["bob"] == got["carol"] == [(b"to all", "chat", "ada")]
    await ada.local_participant.publish_data(b"to bob", reliable=True, destination_identities=["bob"])
    await until(lambda: len(got["bob"]) == 2, "a packet to one")
    await ada.local_participant.publish_data(b"lossy", reliable=False)
    await until(lambda: len(got["bob"]) == 3, "a lossy packet")
    await until(lambda: len(got["carol"]) == 2, "the lossy packet to the other")
    assert len(got["bob"]) == 3
    await asyncio.gather(*(session.disconnect() for session in (ada, bob, carol)))


async def test_a_wrong_token_is_refused(media):
    session = rtc.Room()
    wrong = api.AccessToken(KEY, "another secret").with_identity("eve")
    wrong = wrong.with_grants(api.VideoGrants(room_join=True, room="call")).to_jwt()
    with pytest.raises(rtc.ConnectError):
        await session.connect(media.url.replace("http", "ws"), wrong, rtc.RoomOptions())
