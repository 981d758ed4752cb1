"""Every method of RoomService through PyPI `livekit-api` (protobuf), as the clients in the room see its effect."""

import asyncio

import pytest
import pytest_asyncio
from livekit import api, rtc
from livekit.protocol import models

from clients import Camera, first_picture, join, until
from conftest import KEY, SECRET

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def rooms(media):
    async with api.LiveKitAPI(media.url, KEY, SECRET) as livekit:
        yield livekit.room


async def refusal(call):
    """The (status, code) that a call is refused with."""
    with pytest.raises(api.ServerError) as refused:
        await call
    return refused.value.status, refused.value.code


async def test_a_room_is_created_found_and_deleted(rooms):
    request = api.CreateRoomRequest(name="made", empty_timeout=60, departure_timeout=7, max_participants=3, metadata="m")
    room = await rooms.create_room(request)
    assert room.sid.startswith("RM_") and room.name == "made" and room.metadata == "m"
    assert (room.empty_timeout, room.departure_timeout, room.max_participants) == (60, 7, 3)
    assert room.creation_time > 1_600_000_000 and room.num_participants == 0 and not room.active_recording
    assert (await rooms.create_room(api.CreateRoomRequest(name="made"))).sid == room.sid
    assert [found.sid for found in (await rooms.list_rooms(api.ListRoomsRequest(names=["made", "none"]))).rooms] == [room.sid]
    assert "made" in [found.name for found in (await rooms.list_rooms(api.ListRoomsRequest())).rooms]
    await rooms.delete_room(api.DeleteRoomRequest(room="made"))
    assert not (await rooms.list_rooms(api.ListRoomsRequest(names=["made"]))).rooms
    assert await refusal(rooms.delete_room(api.DeleteRoomRequest(room="made"))) == (404, "not_found")
    again = await rooms.create_room(api.CreateRoomRequest(name="made"))
    assert again.sid != room.sid
    await rooms.delete_room(api.DeleteRoomRequest(room="made"))


async def test_any_name_makes_a_room(rooms):
    for name in ("Zimmer für Ägypten", "../../etc/passwd", "a/b?c=d&e#f", "💥 <script>", "x" * 256):
        assert (await rooms.create_room(api.CreateRoomRequest(name=name))).name == name
        assert len((await rooms.list_rooms(api.ListRoomsRequest(names=[name]))).rooms) == 1
        await rooms.delete_room(api.DeleteRoomRequest(room=name))
    for name in ("", "x" * 257):
        assert await refusal(rooms.create_room(api.CreateRoomRequest(name=name))) == (400, "invalid_argument")


async def test_what_is_not_there_is_not_found(media, rooms):
    nobody = api.RoomParticipantIdentity(room="nowhere", identity="ada")
    assert await refusal(rooms.list_participants(api.ListParticipantsRequest(room="nowhere"))) == (404, "not_found")
    assert await refusal(rooms.get_participant(nobody)) == (404, "not_found")
    assert await refusal(rooms.remove_participant(nobody)) == (404, "not_found")
    assert await refusal(rooms.send_data(api.SendDataRequest(room="nowhere", data=b"x"))) == (404, "not_found")
    update = api.UpdateRoomMetadataRequest(room="nowhere", metadata="m")
    assert await refusal(rooms.update_room_metadata(update)) == (404, "not_found")
    bob = await join(media, "bob", "half")
    nobody = api.RoomParticipantIdentity(room="half", identity="ada")
    assert await refusal(rooms.get_participant(nobody)) == (404, "not_found")
    mute = api.MuteRoomTrackRequest(room="half", identity="bob", track_sid="TR_none", muted=True)
    assert not (await rooms.mute_published_track(mute)).HasField("track"), "as livekit-server answers"
    await bob.disconnect()


async def test_participants_are_listed_with_their_tracks(media, rooms):
    ada, bob = await join(media, "ada", "people"), await join(media, "bob", "people")
    camera = Camera((255, 0, 0, 255), 440)
    video, audio = await camera.publish(ada)
    await until(lambda: len(bob.remote_participants["ada"].track_publications) == 2, "both tracks being published")
    people = (await rooms.list_participants(api.ListParticipantsRequest(room="people"))).participants
    assert sorted(person.identity for person in people) == ["ada", "bob"]
    info = await rooms.get_participant(api.RoomParticipantIdentity(room="people", identity="ada"))
    assert info.state == models.ParticipantInfo.ACTIVE and info.name == "Ada" and info.sid == ada.local_participant.sid
    assert info.is_publisher and info.joined_at > 1_600_000_000 and info.permission.can_publish
    tracks = {track.sid: track for track in info.tracks}
    assert tracks[video.sid].type == models.TrackType.VIDEO and tracks[video.sid].source == models.TrackSource.CAMERA
    assert tracks[audio.sid].type == models.TrackType.AUDIO and tracks[audio.sid].source == models.TrackSource.MICROPHONE
    assert (tracks[video.sid].width, tracks[video.sid].height) == (640, 360)
    assert tracks[video.sid].mime_type.lower().startswith("video/") and tracks[audio.sid].mime_type.lower() in ("audio/opus", "audio/red")
    room = (await rooms.list_rooms(api.ListRoomsRequest(names=["people"]))).rooms[0]
    assert (room.num_participants, room.num_publishers) == (2, 1)
    camera.stop()
    await asyncio.gather(ada.disconnect(), bob.disconnect())


async def test_an_admin_mutes_a_track(media, rooms):
    ada, bob = await join(media, "ada", "mute"), await join(media, "bob", "mute")
    told = []
    ada.on("track_muted", lambda *_: told.append("ada"))
    bob.on("track_muted", lambda *_: told.append("bob"))
    bob.on("track_unmuted", lambda *_: told.append("bob sees it unmuted"))
    camera = Camera((255, 0, 0, 255), 440)
    _, audio = await camera.publish(ada)
    await until(lambda: len(bob.remote_participants["ada"].track_publications) == 2, "both tracks being published")
    mute = api.MuteRoomTrackRequest(room="mute", identity="ada", track_sid=audio.sid, muted=True)
    answer = await rooms.mute_published_track(mute)
    assert answer.track.sid == audio.sid and answer.track.muted
    await until(lambda: "bob" in told, "the mute")
    await asyncio.sleep(1)
    assert told.count("bob") == 1 and "bob sees it unmuted" not in told, told
    mute.muted = False
    assert await refusal(rooms.mute_published_track(mute)) == (412, "failed_precondition")
    camera.stop()
    await asyncio.gather(ada.disconnect(), bob.disconnect())


async def test_a_participant_is_updated(media, rooms):
    ada, bob = await join(media, "ada", "update"), await join(media, "bob", "update")
    unpublished = []
    bob.on("track_unpublished", lambda publication, _: unpublished.append(publication.sid))
    camera = Camera((255, 0, 0, 255), 440)
    await camera.publish(ada)
    await until(lambda: len(bob.remote_participants["ada"].track_publications) == 2, "both tracks being published")
    request = api.UpdateParticipantRequest(
        room="update", identity="ada", name="Countess", metadata="first programmer", attributes={"hand": "raised"}
    )
    info = await rooms.update_participant(request)
    assert (info.name, info.metadata, dict(info.attributes)) == ("Countess", "first programmer", {"hand": "raised"})
    for ada_seen in (ada.local_participant, bob.remote_participants["ada"]):
        await until(lambda: ada_seen.name == "Countess", "the name")
        await until(lambda: ada_seen.metadata == "first programmer", "the metadata")
        await until(lambda: ada_seen.attributes.get("hand") == "raised", "the attribute")
    await rooms.update_participant(
        api.UpdateParticipantRequest(room="update", identity="ada", attributes={"hand": ""})
    )
    await until(lambda: "hand" not in bob.remote_participants["ada"].attributes, "the attribute being removed")
    assert bob.remote_participants["ada"].name == "Countess"
    permission = models.ParticipantPermission(can_subscribe=True, can_publish=False, can_publish_data=True)
    request = api.UpdateParticipantRequest(room="update", identity="ada", permission=permission)
    info = await rooms.update_participant(request)
    assert not info.permission.can_publish and info.permission.can_subscribe
    await until(lambda: len(unpublished) == 2, "the tracks of one who may not publish any more being taken away")
    camera.stop()
    await asyncio.gather(ada.disconnect(), bob.disconnect())


async def test_subscriptions_are_ended_and_begun(media, rooms):
    ada, bob = await join(media, "ada", "subscriptions"), await join(media, "bob", "subscriptions")
    tracks = []
    bob.on("track_subscribed", lambda track, *_: tracks.append(track))
    camera = Camera((255, 0, 0, 255), 440)
    video, _ = await camera.publish(ada)
    await until(lambda: len(tracks) == 2, "both subscriptions")
    first = next(track for track in tracks if track.kind == rtc.TrackKind.KIND_VIDEO)
    await asyncio.wait_for(first_picture(first), timeout=10)
    request = api.UpdateSubscriptionsRequest(room="subscriptions", identity="bob", track_sids=[video.sid], subscribe=False)
    for again in (1, 2):
        request.subscribe = False
        await rooms.update_subscriptions(request)
        await asyncio.sleep(1)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(first_picture(tracks[-1] if again > 1 else first), timeout=2)
        request.subscribe = True
        await rooms.update_subscriptions(request)
        await until(lambda: len(tracks) == 2 + again, "the subscription")
        assert tracks[-1].sid == video.sid
        await asyncio.wait_for(first_picture(tracks[-1]), timeout=10)
    camera.stop()
    await asyncio.gather(ada.disconnect(), bob.disconnect())


async def test_metadata_and_data_reach_the_room(media, rooms):
    ada, bob = await join(media, "ada", "told"), await join(media, "bob", "told")
    got = {"ada": [], "bob": []}
    for name, session in (("ada", ada), ("bob", bob)):
        session.on("data_received", lambda packet, name=name: got[name].append((bytes(packet.data), packet.topic, packet.participant)))
    room = await rooms.update_room_metadata(api.UpdateRoomMetadataRequest(room="told", metadata="agenda"))
    assert room.metadata == "agenda"
    await until(lambda: ada.metadata == bob.metadata == "agenda", "the metadata")
    await rooms.send_data(api.SendDataRequest(room="told", data=b"to all", kind=models.DataPacket.RELIABLE, topic="news"))
    await until(lambda: got["ada"] and got["bob"], "data for all")
    assert got["ada"] == got["bob"] == [(b"to all", "news", None)]
    await rooms.send_data(api.SendDataRequest(room="told", data=b"to bob", kind=models.DataPacket.LOSSY, destination_identities=["bob"]))
    await until(lambda: len(got["bob"]) == 2, "data for one")
    assert len(got["ada"]) == 1
    await asyncio.gather(ada.disconnect(), bob.disconnect())


async def test_removed_participants_and_those_of_a_deleted_room_are_told_why(media, rooms):
    ada, bob = await join(media, "ada", "ended"), await join(media, "bob", "ended")
    why = {}
    ada.on("disconnected", lambda reason: why.setdefault("ada", reason))
    bob.on("disconnected", lambda reason: why.setdefault("bob", reason))
    await rooms.remove_participant(api.RoomParticipantIdentity(room="ended", identity="ada"))
    await until(lambda: why.get("ada") == rtc.DisconnectReason.PARTICIPANT_REMOVED, "the removal")
    await until(lambda: not bob.remote_participants, "others seeing it")
    await rooms.delete_room(api.DeleteRoomRequest(room="ended"))
    await until(lambda: why.get("bob") == rtc.DisconnectReason.ROOM_DELETED, "the end of the room")


async def test_a_full_room_takes_nobody_else(media, rooms):
    await rooms.create_room(api.CreateRoomRequest(name="full", max_participants=1))
    ada = await join(media, "ada", "full")
    with pytest.raises(rtc.ConnectError):
        await join(media, "bob", "full")
    assert ada.isconnected()
    await ada.disconnect()


async def test_a_second_session_of_an_identity_ends_the_first(media, rooms):
    first = await join(media, "ada", "twice")
    why = []
    first.on("disconnected", why.append)
    second = await join(media, "ada", "twice")
    await until(lambda: why == [rtc.DisconnectReason.DUPLICATE_IDENTITY], "the first session being ended")
    people = (await rooms.list_participants(api.ListParticipantsRequest(room="twice"))).participants
    assert [person.sid for person in people] == [second.local_participant.sid]
    await second.disconnect()


async def test_each_method_needs_its_grant(media, rooms):
    await rooms.create_room(api.CreateRoomRequest(name="mine"))
    person = api.RoomParticipantIdentity(room="mine", identity="ada")
    admin = [
        ("ListParticipants", api.ListParticipantsRequest(room="mine"), api.ListParticipantsResponse),
        ("GetParticipant", person, models.ParticipantInfo),
        ("RemoveParticipant", person, api.RemoveParticipantResponse),
        ("MutePublishedTrack", api.MuteRoomTrackRequest(room="mine", muted=True), api.MuteRoomTrackResponse),
        ("UpdateParticipant", api.UpdateParticipantRequest(room="mine", identity="ada"), models.ParticipantInfo),
        ("UpdateSubscriptions", api.UpdateSubscriptionsRequest(room="mine"), api.UpdateSubscriptionsResponse),
        ("SendData", api.SendDataRequest(room="mine"), api.SendDataResponse),
        ("UpdateRoomMetadata", api.UpdateRoomMetadataRequest(room="mine"), models.Room),
    ]
    create = [
        ("CreateRoom", api.CreateRoomRequest(name="mine"), models.Room),
        ("DeleteRoom", api.DeleteRoomRequest(room="mine"), api.DeleteRoomResponse),
    ]
    lists = [("ListRooms", api.ListRoomsRequest(), api.ListRoomsResponse)]
    everything = dict(room_create=True, room_list=True, room_record=True, room_admin=True, room_join=True, room="mine")
    for methods, missing in (
        (admin, {"room_admin": False}),
        (admin, {"room": "another"}),
        (create, {"room_create": False}),
        (lists, {"room_list": False}),
    ):
        grants = api.VideoGrants(**{**everything, **missing})
        jwt = api.AccessToken(KEY, SECRET).with_identity("eve").with_grants(grants).to_jwt()
        for method, request, answer in methods:
            call = rooms._client.request("RoomService", method, request, {"authorization": f"Bearer {jwt}"}, answer)
            assert await refusal(call) == (401, "unauthenticated"), (method, missing)
    assert len((await rooms.list_rooms(api.ListRoomsRequest(names=["mine"]))).rooms) == 1
    await rooms.delete_room(api.DeleteRoomRequest(room="mine"))


async def test_a_wrong_secret_opens_nothing(media):
    async with api.LiveKitAPI(media.url, KEY, "another secret") as livekit:
        with pytest.raises(api.ServerError) as refused:
            await livekit.room.list_rooms(api.ListRoomsRequest())
    assert refused.value.status == 401
