"""Webhooks as an application gets them: signed, in order, and again when it was not there."""

import asyncio
import tempfile
import time

import pytest
from livekit import api
from livekit.protocol import models

from clients import Camera, join, until
from conftest import KEY, SECRET, Reelroom
from hooks import Receiver, media, receiver  # noqa: F401: fixtures
from recordings import ACTIVE, COMPLETE, composite, reaches

pytestmark = pytest.mark.asyncio


async def test_a_call_is_told_from_its_start_to_its_end(media, receiver):
    ada = await join(media, "ada", "told")
    camera = Camera((255, 0, 0, 255), 440)
    video, audio = await camera.publish(ada)
    await until(lambda: receiver.names("told").count("track_published") == 2, "both tracks being told")
    camera.stop()
    await ada.local_participant.unpublish_track(video.sid)
    await until(lambda: "track_unpublished" in receiver.names("told"), "the unpublishing being told")
    sid = ada.local_participant.sid
    await ada.disconnect()
    await until(lambda: "participant_left" in receiver.names("told"), "the leave being told")
    async with api.LiveKitAPI(media.url, KEY, SECRET) as livekit:
        await livekit.room.delete_room(api.DeleteRoomRequest(room="told"))
    await until(lambda: "room_finished" in receiver.names("told"), "the end being told")

    names = receiver.names("told")
    assert names[:2] == ["room_started", "participant_joined"] and names[-1] == "room_finished"
    assert names.count("track_unpublished") == 2 and names.count("participant_left") == 1
    events = receiver.of_room("told")
    assert len({event.id for event in events}) == len(events) and all(event.id.startswith("EV_") for event in events)
    assert all(abs(event.created_at - time.time()) < 60 for event in events)
    assert len({event.room.sid for event in events}) == 1
    joined = next(event for event in events if event.event == "participant_joined")
    assert (joined.participant.identity, joined.participant.sid, joined.participant.name) == ("ada", sid, "Ada")
    assert joined.participant.state == models.ParticipantInfo.ACTIVE
    published = {event.track.sid: event for event in events if event.event == "track_published"}
    assert set(published) == {video.sid, audio.sid}
    assert published[video.sid].track.source == models.TrackSource.CAMERA
    assert published[video.sid].participant.identity == "ada"


async def test_bodies_are_canonical_protojson(media, receiver):
    async with api.LiveKitAPI(media.url, KEY, SECRET) as livekit:
        await livekit.room.create_room(api.CreateRoomRequest(name="canonical", empty_timeout=11))
        await livekit.room.delete_room(api.DeleteRoomRequest(room="canonical"))
    await until(lambda: len(receiver.names("canonical")) == 2, "both events")
    body = next(body for body in receiver.bodies if body.get("room", {}).get("name") == "canonical")
    assert body["event"] == "room_started" and isinstance(body["createdAt"], str)
    assert body["room"]["emptyTimeout"] == 11 and isinstance(body["room"]["creationTime"], str)
    assert not {"participant", "track", "egressInfo", "numDropped"} & set(body), "empty fields are left out"
    assert not {"activeRecording", "metadata", "numParticipants"} & set(body["room"]), "empty fields are left out"


async def test_who_leaves_before_being_connected_is_told_as_such(media, receiver):
    import aiohttp

    from clients import token

    url = f"{media.url.replace('http', 'ws')}/rtc?access_token={token('ghost', 'aborted')}&protocol=16&auto_subscribe=1"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        first = await socket.receive(timeout=5)
        assert first.type == aiohttp.WSMsgType.BINARY
    await until(lambda: "participant_connection_aborted" in receiver.names("aborted"), "being told", 40)
    assert "participant_joined" not in receiver.names("aborted")


async def test_a_receiver_that_was_away_gets_everything_in_order():
    late = Receiver(failures=2)
    server = Reelroom("media", WEBHOOK_URLS=late.url)
    try:
        async with api.LiveKitAPI(server.url, KEY, SECRET) as livekit:
            await livekit.room.create_room(api.CreateRoomRequest(name="away"))
            await livekit.room.delete_room(api.DeleteRoomRequest(room="away"))
        await until(lambda: late.names("away") == ["room_started", "room_finished"], "the events being sent again")
    finally:
        server.stop()
        late.stop()


async def test_a_stopping_server_tells_its_rooms_and_its_receivers():
    receiver = Receiver()
    server = Reelroom("media", WEBHOOK_URLS=receiver.url)
    why = []
    try:
        ada = await join(server, "ada", "stopping")
        ada.on("disconnected", why.append)
        await until(lambda: "participant_joined" in receiver.names("stopping"), "the join being told")
    finally:
        await asyncio.to_thread(server.stop)
    assert receiver.names("stopping")[-2:] == ["participant_left", "room_finished"]
    await until(lambda: why, "the client being told")
    receiver.stop()


async def test_what_a_recording_told_is_told_again_after_a_kill_in_order_and_signed_anew():
    away = Receiver()
    away.stop()
    with tempfile.TemporaryDirectory(prefix="reelroom-") as data:
        killed = Reelroom("media", DATA_DIR=data, WEBHOOK_URLS=away.url)
        async with api.LiveKitAPI(killed.url, KEY, SECRET) as livekit:
            await livekit.room.create_room(api.CreateRoomRequest(name="kept", empty_timeout=300))
            started = await livekit.egress.start_room_composite_egress(composite("kept"))
            await reaches(livekit, started.egress_id, ACTIVE, 15)
            await asyncio.sleep(1.5)
            await livekit.egress.stop_egress(api.StopEgressRequest(egress_id=started.egress_id))
            await reaches(livekit, started.egress_id, COMPLETE, 30)
        killed.process.kill()
        killed.process.wait()
        assert not killed.errors()

        receiver = Receiver(port=away.server.server_port)
        again = Reelroom("media", DATA_DIR=data, WEBHOOK_URLS=away.url)
        try:
            of_egress = lambda: [event for event in receiver.events if event.egress_info.egress_id == started.egress_id]
            await until(lambda: "egress_ended" in [event.event for event in of_egress()], "the end being told", 30)
            ids = list(dict.fromkeys(event.id for event in of_egress()))
            first = {event.id: event for event in reversed(of_egress())}
            kinds = [first[id].event for id in ids]
            assert kinds[0] == "egress_started" and kinds[-1] == "egress_ended"
            assert set(kinds[1:-1]) == {"egress_updated"}
            assert first[ids[-1]].egress_info.status == COMPLETE
            assert ids[-1] == f"EV_{started.egress_id.removeprefix('EG_')}_COMPLETE", "an end has one id over all starts"
        finally:
            again.stop()
            receiver.stop()
