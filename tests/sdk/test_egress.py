"""The Egress API through PyPI `livekit-api`: a call is recorded, and the file holds it."""

import asyncio
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from livekit import api
from livekit.protocol import models

from clients import Camera, join, until
from conftest import KEY, SECRET, Reelroom
from hooks import media, receiver  # noqa: F401: fixtures
from recordings import ACTIVE, COMPLETE, ENDING, STARTING, composite, info_of, reaches, streams

pytestmark = pytest.mark.asyncio

@pytest_asyncio.fixture
async def livekit(media):
    async with api.LiveKitAPI(media.url, KEY, SECRET) as livekit:
        yield livekit


async def refusal(call):
    with pytest.raises(api.ServerError) as refused:
        await call
    return refused.value.status, refused.value.code


async def test_a_call_is_recorded(media, livekit, receiver):
    ada = await join(media, "ada", "recorded call")
    status = []
    ada.on("room_updated", lambda: status.append(ada.is_recording))
    camera = Camera((255, 0, 0, 255), 440)
    await camera.publish(ada)
    room_id = await ada.sid
    started = await livekit.egress.start_room_composite_egress(composite("recorded call", layout="grid"))
    assert started.egress_id.startswith("EG_") and started.status in (STARTING, ACTIVE)
    assert (started.room_name, started.room_id) == ("recorded call", room_id)
    assert abs(started.started_at / 1e9 - time.time()) < 30
    assert started.room_composite.layout == "grid", "the request is echoed"
    name = started.file_results[0].filename
    assert name.startswith(f"recordings/recorded call-{room_id}-") and name.endswith(".mp4"), name
    assert (await livekit.room.list_rooms(api.ListRoomsRequest(names=["recorded call"]))).rooms[0].active_recording
    await until(lambda: True in status, "the client being told that it is recorded", 3)
    people = (await livekit.room.list_participants(api.ListParticipantsRequest(room="recorded call"))).participants
    assert sorted(person.kind for person in people) == [models.ParticipantInfo.STANDARD, models.ParticipantInfo.EGRESS]
    assert not ada.remote_participants, "the recorder is hidden"

    await reaches(livekit, started.egress_id, ACTIVE, 15)
    active = (await livekit.egress.list_egress(api.ListEgressRequest(room_name="recorded call", active=True))).items
    assert [info.egress_id for info in active] == [started.egress_id]
    await asyncio.sleep(4)
    stopped = await livekit.egress.stop_egress(api.StopEgressRequest(egress_id=started.egress_id))
    assert stopped.status == ENDING, api.EgressStatus.Name(stopped.status)
    assert not (await livekit.room.list_rooms(api.ListRoomsRequest(names=["recorded call"]))).rooms[0].active_recording
    await until(lambda: status[-1] is False, "the client being told that it is not recorded any more", 3)
    done = await reaches(livekit, started.egress_id, COMPLETE, 60)
    file = done.file_results[0]
    assert file.filename == name and file.size > 10_000 and 3e9 < file.duration < 30e9, file
    assert done.ended_at > done.started_at and file.ended_at > file.started_at
    assert "StopEgress" in done.details
    stop = livekit.egress.stop_egress(api.StopEgressRequest(egress_id=started.egress_id))
    assert await refusal(stop) == (412, "failed_precondition")

    path = Path(file.location)
    assert path.is_absolute() and path.stat().st_size == file.size
    found = streams(path)
    assert sorted(stream["codec_name"] for stream in found["streams"]) == ["aac", "h264"]
    assert abs(float(found["format"]["duration"]) - file.duration / 1e9) < 0.5
    await until(lambda: "egress_ended" in receiver.names("recorded call"), "the end being told")
    told = [event for event in receiver.of_room("recorded call") if event.event.startswith("egress_")]
    assert told[0].event == "egress_started" and told[0].egress_info.egress_id == started.egress_id
    assert [event.egress_info.status for event in told if event.event == "egress_updated"][:1] == [ACTIVE]
    assert told[-1].event == "egress_ended" and told[-1].egress_info.status == COMPLETE
    assert told[-1].egress_info.file_results[0].size == file.size
    camera.stop()
    await ada.disconnect()


def colours(file, seconds):
    """The colours of the corner, which no tile covers, and of the middle of the picture at a time."""
    command = ["ffmpeg", "-v", "error", "-ss", str(seconds), "-i", file, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    picture = np.frombuffer(raw, dtype=np.uint8).reshape(720, 1280, 3)
    return picture[1:4, 1:4].mean(axis=(0, 1)), picture[340:380, 620:660].mean(axis=(0, 1))


async def test_the_picture_changes_when_the_layout_is_updated(media, livekit, receiver):
    ada = await join(media, "ada", "layouts")
    camera = Camera((255, 0, 0, 255), 440)
    await camera.publish(ada)
    started = await livekit.egress.start_room_composite_egress(composite("layouts", layout="grid"))
    update = livekit.egress.update_layout
    unknown = api.UpdateLayoutRequest(egress_id="EG_none", layout="speaker")
    assert await refusal(update(unknown)) == (404, "not_found")
    await reaches(livekit, started.egress_id, ACTIVE, 15)
    spiral = api.UpdateLayoutRequest(egress_id=started.egress_id, layout="spiral")
    assert await refusal(update(spiral)) == (400, "invalid_argument")
    await asyncio.sleep(3)
    light = api.UpdateLayoutRequest(egress_id=started.egress_id, layout="grid-light")
    before = time.time()
    info = await update(light)
    changed_at = (before + time.time()) / 2 - started.started_at / 1e9
    assert info.room_composite.layout == "grid-light" and info.status == ACTIVE
    await asyncio.sleep(3)
    await livekit.egress.stop_egress(api.StopEgressRequest(egress_id=started.egress_id))
    assert await refusal(update(light)) == (412, "failed_precondition")
    done = await reaches(livekit, started.egress_id, COMPLETE, 60)
    assert done.room_composite.layout == "grid-light"
    file = done.file_results[0].location
    for at, is_light in ((changed_at - 1, False), (changed_at - 0.3, False), (changed_at + 0.3, True), (changed_at + 1, True)):
        corner, middle = colours(file, at)
        assert (corner.min() > 150) == is_light, (at, changed_at, corner)
        assert middle[0] > 150 and middle[1] < 90, (at, middle)
    # A receiver that answers late is told once more: what has the same id is the same event.
    updated = {event.id: event.egress_info for event in receiver.of_room("layouts") if event.event == "egress_updated"}
    told = [(info.status, info.room_composite.layout) for info in updated.values()]
    assert [layout for _, layout in told] == ["grid", "grid-light", "grid-light"], f"active, changed, ending: {told}"
    camera.stop()
    await ada.disconnect()


async def test_a_recording_ends_with_its_room(media, livekit):
    ada = await join(media, "ada", "ending")
    camera = Camera((0, 0, 255, 255), 440)
    await camera.publish(ada)
    started = await livekit.egress.start_room_composite_egress(composite("ending"))
    await reaches(livekit, started.egress_id, ACTIVE, 15)
    await asyncio.sleep(2)
    await livekit.room.delete_room(api.DeleteRoomRequest(room="ending"))
    done = await reaches(livekit, started.egress_id, COMPLETE, 60)
    assert "Source closed" in done.details
    assert done.file_results[0].size > 0
    camera.stop()


async def test_a_recording_of_nothing_is_aborted(media, livekit):
    await livekit.room.create_room(api.CreateRoomRequest(name="silent"))
    started = await livekit.egress.start_room_composite_egress(composite("silent"))
    assert started.status == STARTING
    await livekit.egress.stop_egress(api.StopEgressRequest(egress_id=started.egress_id))
    info = await info_of(livekit, started.egress_id)
    assert info.status == api.EgressStatus.EGRESS_ABORTED, api.EgressStatus.Name(info.status)
    await livekit.room.delete_room(api.DeleteRoomRequest(room="silent"))


async def test_what_cannot_be_recorded_is_refused(livekit):
    start = livekit.egress.start_room_composite_egress
    assert await refusal(start(composite("nowhere"))) == (404, "not_found")
    await livekit.room.create_room(api.CreateRoomRequest(name="refused"))
    assert await refusal(start(composite("refused", file_outputs=[]))) == (400, "invalid_argument")
    assert await refusal(start(composite(""))) == (400, "invalid_argument")
    unknown = api.StopEgressRequest(egress_id="EG_none")
    assert await refusal(livekit.egress.stop_egress(unknown)) == (404, "not_found")
    assert await refusal(livekit.egress.list_egress(api.ListEgressRequest(egress_id="EG_none"))) == (404, "not_found")
    grants = api.VideoGrants(room_create=True, room_list=True, room_admin=True, room_join=True, room="refused")
    jwt = api.AccessToken(KEY, SECRET).with_identity("eve").with_grants(grants).to_jwt()
    headers = {"authorization": f"Bearer {jwt}"}
    for method, request, answer in (
        ("StartRoomCompositeEgress", composite("refused"), api.EgressInfo),
        ("StopEgress", unknown, api.EgressInfo),
        ("ListEgress", api.ListEgressRequest(), api.ListEgressResponse),
    ):
        call = livekit.egress._client.request("Egress", method, request, headers, answer)
        assert await refusal(call) == (401, "unauthenticated"), method
    await livekit.room.delete_room(api.DeleteRoomRequest(room="refused"))
