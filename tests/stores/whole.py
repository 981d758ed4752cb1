"""The whole program on a real S3 server: record, list, play by ranges, go on with a download, delete.

`S3_ENDPOINT=... S3_BUCKET=... S3_ACCESS_KEY=... S3_SECRET_KEY=... whole.py`; what is recorded stands below `reelroom-try/` and is deleted.
"""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "sdk"))

from livekit import api  # noqa: E402

from clients import Camera, join  # noqa: E402
from conftest import KEY, SECRET, Reelroom  # noqa: E402
from recordings import ACTIVE, COMPLETE, composite, reaches  # noqa: E402

SETTINGS = ("S3_ENDPOINT", "S3_BUCKET", "S3_ACCESS_KEY", "S3_SECRET_KEY", "S3_FORCE_PATH_STYLE", "AWS_REGION", "LOG")
FOLDER = "reelroom-try/"
SECONDS = int(os.environ.get("SECONDS_RECORDED", "5"))


def say(text):
    print(text, flush=True)


class House:
    def __init__(self, **settings):
        given = {name: os.environ[name] for name in SETTINGS if name in os.environ}
        keys = {"LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET}
        self.program = Reelroom(RECORDINGS_PATH=FOLDER, **keys, **given, **settings)
        self.url = self.program.url

    def get(self, path, method="GET", **headers):
        request = urllib.request.Request(urllib.parse.urljoin(self.url, path), method=method, headers=headers)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    async def list(self):
        _, body = await asyncio.to_thread(self.get, "/recordings")
        return json.loads(body)["recordings"]

    async def record(self, room, filepath):
        person = await join(self.program, "ada", room)
        camera = Camera((0, 0, 255, 255), 440)
        await camera.publish(person)
        async with api.LiveKitAPI(self.url, KEY, SECRET) as livekit:
            asked = composite(room, file_outputs=[api.EncodedFileOutput(filepath=filepath)])
            info = await livekit.egress.start_room_composite_egress(asked)
            await reaches(livekit, info.egress_id, ACTIVE, 20)
            await asyncio.sleep(SECONDS)
            await livekit.egress.stop_egress(api.StopEgressRequest(egress_id=info.egress_id))
            info = await reaches(livekit, info.egress_id, COMPLETE, 120)
        camera.stop()
        await person.disconnect()
        return info.file_results[0]


def download(url, folder, name, whole):
    """A download that broke off in its middle, gone on with by curl and wget."""
    for command in (["curl", "-sS", "-C", "-", "-o"], ["wget", "-q", "-c", "-O"]):
        file = Path(folder) / f"{command[0]}.mp4"
        file.write_bytes(whole[: len(whole) // 3])
        subprocess.run([*command, str(file), url], check=True)
        assert file.read_bytes() == whole, f"{command[0]} has {file.stat().st_size} of {len(whole)} bytes of {name}"


async def main():
    house = House()
    try:
        before = len(await house.list())
        first = await house.record("räume & +%", FOLDER + "{room_name}")
        say(f"stored at {first.location}")
        again = await house.record("räume & +%", FOLDER + "{room_name}")
        assert again.filename != first.filename, "a second recording of the same path replaces nothing"
        say(f"the second one is {again.filename!r}")
        listed = [entry for entry in await house.list() if entry["roomName"] == "räume & +%"]
        assert len(listed) == 2 and all(entry["status"] == "complete" for entry in listed), listed
        assert all(entry["duration"] > SECONDS - 2 for entry in listed), listed
        for entry in listed:
            path = "/recordings/" + urllib.parse.quote(entry["name"], safe="")
            status, whole = await asyncio.to_thread(house.get, path)
            assert status == 200 and len(whole) == entry["size"], (status, len(whole), entry)
            assert hashlib.sha256(whole).hexdigest() == entry.get("sha256", hashlib.sha256(whole).hexdigest())
            size = len(whole)
            for start, end in ((0, 0), (0, 1), (1, 1), (size // 2, size // 2 + 999), (size - 1, size - 1), (size - 500, size + 500)):
                status, part = await asyncio.to_thread(house.get, path, Range=f"bytes={start}-{end}")
                assert status == 206 and part == whole[start : end + 1], (start, end, status, len(part))
            status, _ = await asyncio.to_thread(house.get, path, Range=f"bytes={size}-")
            assert status == 416
            with tempfile.TemporaryDirectory() as folder:
                await asyncio.to_thread(download, urllib.parse.urljoin(house.url, path), folder, entry["name"], whole)
                seen = subprocess.run(
                    ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv", f"{folder}/curl.mp4"],
                    check=True, capture_output=True, text=True,
                ).stdout
                assert "h264" in seen and "aac" in seen, seen
            say(f"{entry['name']!r}: {size} bytes play by ranges, and curl and wget go on with them")
        _, ready = await asyncio.to_thread(house.get, "/readyz")
        say(f"readyz: {ready.decode()}")
        name = urllib.parse.quote(listed[0]["name"], safe="")
        _, link = await asyncio.to_thread(house.get, f"/recordings/{name}/url")
        link = json.loads(link)["recordingUrl"]
        for entry in listed:
            status, body = await asyncio.to_thread(house.get, "/recordings/" + urllib.parse.quote(entry["name"], safe=""), "DELETE")
            assert status in (200, 204), (status, body)
        status, _ = await asyncio.to_thread(house.get, link)
        assert status == 404, status
        third = await house.record("räume & +%", FOLDER + "{room_name}")
        status, _ = await asyncio.to_thread(house.get, link)
        assert status == 404, status
        say(f"an old link does not open {third.filename!r}")
        name = urllib.parse.quote(third.filename.removeprefix(FOLDER), safe="")
        await asyncio.to_thread(house.get, f"/recordings/{name}", "DELETE")
        assert len(await house.list()) == before
        say("all is deleted")
    finally:
        house.program.stop()
    house = House(RECORDING_PLAYBACK_STRATEGY="S3")
    try:
        assert len(await house.list()) == before, "nothing is left in the bucket"
        await house.record("by url", FOLDER + "{room_name}-{time}")
        (entry,) = [entry for entry in await house.list() if entry["roomName"] == "by url"]
        path = "/recordings/" + urllib.parse.quote(entry["name"], safe="")
        _, link = await asyncio.to_thread(house.get, path + "/url")
        url = json.loads(link)["recordingUrl"]
        status, whole = await asyncio.to_thread(house.get, url)
        assert status == 200 and len(whole) == entry["size"], (status, url)
        say("the bucket's own URL plays it")
        await asyncio.to_thread(house.get, path, "DELETE")
        assert len(await house.list()) == before
    finally:
        house.program.stop()
    say("all went well")


asyncio.run(main())
