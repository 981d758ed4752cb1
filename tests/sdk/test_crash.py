"""The program is killed while it records: when it runs again, the recording is there."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from livekit import api

from clients import Camera, join
from conftest import KEY, SECRET, Reelroom
from recordings import ACTIVE, COMPLETE, composite, reaches, streams

pytestmark = pytest.mark.asyncio

RECORDED_S = 5
LOST_AT_MOST_S = 1.0


async def test_a_killed_recording_is_finished_by_the_next_start():
    with tempfile.TemporaryDirectory(prefix="reelroom-") as data:
        killed = Reelroom("media", DATA_DIR=data)
        ada = await join(killed, "ada", "killed")
        camera = Camera((0, 255, 0, 255), 440)
        await camera.publish(ada)
        async with api.LiveKitAPI(killed.url, KEY, SECRET) as livekit:
            started = await livekit.egress.start_room_composite_egress(composite("killed"))
            await reaches(livekit, started.egress_id, ACTIVE, 15)
            await asyncio.sleep(RECORDED_S)
        killed.process.kill()
        killed.process.wait()
        camera.stop()
        await ada.disconnect()
        assert not killed.errors()

        again = Reelroom("media", DATA_DIR=data)
        try:
            async with api.LiveKitAPI(again.url, KEY, SECRET) as livekit:
                done = await reaches(livekit, started.egress_id, COMPLETE, 60)
            file = done.file_results[0]
            assert file.duration / 1e9 > RECORDED_S - LOST_AT_MOST_S, file
            assert Path(file.location).stat().st_size == file.size
            found = streams(file.location)
            assert sorted(stream["codec_name"] for stream in found["streams"]) == ["aac", "h264"]
            assert abs(float(found["format"]["duration"]) - file.duration / 1e9) < 0.5
        finally:
            again.stop()
