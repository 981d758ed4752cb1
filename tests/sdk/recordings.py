"""Recordings through the Egress API: asking for one, waiting for a state, looking into the file."""

import asyncio
import json
import subprocess
import time

from livekit import api

STARTING, ACTIVE, ENDING, COMPLETE = (
    api.EgressStatus.Value(f"EGRESS_{name}") for name in ("STARTING", "ACTIVE", "ENDING", "COMPLETE")
)


def composite(room, **fields):
    fields.setdefault("file_outputs", [api.EncodedFileOutput(filepath="recordings/{room_name}-{room_id}-{time}")])
    return api.RoomCompositeEgressRequest(room_name=room, **fields)


async def info_of(livekit, egress_id):
    return (await livekit.egress.list_egress(api.ListEgressRequest(egress_id=egress_id))).items[0]


async def reaches(livekit, egress_id, status, seconds):
    end = time.monotonic() + seconds
    while (info := await info_of(livekit, egress_id)).status != status:
        assert info.status < COMPLETE, f"{api.EgressStatus.Name(info.status)}: {info.error}"
        assert time.monotonic() < end, f"still {api.EgressStatus.Name(info.status)} after {seconds} s"
        await asyncio.sleep(0.1)
    return info


def streams(file):
    command = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width,height:format=duration", "-of", "json", file]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
