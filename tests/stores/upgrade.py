"""A data folder of an older version goes on: `upgrade.py OLD_BINARY`; the new one is REELROOM_BIN, or what was built."""

import asyncio
import hashlib
import json
import os
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "sdk"))

import conftest  # noqa: E402
from conftest import KEY, SECRET, Reelroom  # noqa: E402
from livekit import api  # noqa: E402

from clients import Camera, join  # noqa: E402
from recordings import ACTIVE, COMPLETE, composite, reaches  # noqa: E402


def get(url, path, method="GET"):
    try:
        asked = urllib.request.Request(urllib.parse.urljoin(url, path), method=method)
        with urllib.request.urlopen(asked) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


async def record(program, room, filepath):
    person = await join(program, "ada", room)
    camera = Camera((0, 0, 255, 255), 440)
    await camera.publish(person)
    async with api.LiveKitAPI(program.url, KEY, SECRET) as livekit:
        asked = composite(room, file_outputs=[api.EncodedFileOutput(filepath=filepath)])
        info = await livekit.egress.start_room_composite_egress(asked)
        await reaches(livekit, info.egress_id, ACTIVE, 20)
        await asyncio.sleep(3)
        await livekit.egress.stop_egress(api.StopEgressRequest(egress_id=info.egress_id))
        info = await reaches(livekit, info.egress_id, COMPLETE, 120)
    camera.stop()
    await person.disconnect()
    return info.file_results[0]


async def main():
    new, conftest.BINARY = conftest.BINARY, sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        os.umask(0o022)
        settings = {"DATA_DIR": folder + "/data", "LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET}
        program = Reelroom(**settings)
        files = [await record(program, "old", path) for path in ("recordings/{room_name}", "elsewhere/{room_name}", "takes/old")]
        _, answer = get(program.url, "/recordings/old.mp4/url")
        link = json.loads(answer)["recordingUrl"]
        assert get(program.url, link)[0] == 200
        # Killed while it records, and with something to recover.
        person = await join(program, "ada", "killed")
        camera = Camera((0, 255, 0, 255), 440)
        await camera.publish(person)
        async with api.LiveKitAPI(program.url, KEY, SECRET) as livekit:
            asked = composite("killed", file_outputs=[api.EncodedFileOutput(filepath="recordings/{room_name}")])
            info = await livekit.egress.start_room_composite_egress(asked)
            await reaches(livekit, info.egress_id, ACTIVE, 20)
            await asyncio.sleep(3)
        program.process.kill()
        program.process.wait()
        camera.stop()
        hashes = {file.location: hashlib.sha256(Path(file.location).read_bytes()).hexdigest() for file in files}
        print("the old version left", sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*.mp4")))

        conftest.BINARY = new
        program = Reelroom(**settings)
        for _ in range(300):
            listed = {entry["name"]: entry for entry in json.loads(get(program.url, "/recordings")[1])["recordings"]}
            if listed.get("killed.mp4", {}).get("status") == "complete":
                break
            await asyncio.sleep(0.2)
        assert {"old.mp4", "killed.mp4"} <= set(listed), listed
        assert listed["killed.mp4"]["recovered"], listed
        for name in ("old.mp4", "killed.mp4"):
            status, whole = get(program.url, "/recordings/" + name)
            assert status == 200 and len(whole) == listed[name]["size"], (name, status)
        status, body = get(program.url, link)
        assert status == 403 and b"older version" in body, (status, body)
        again = [await record(program, "new", path) for path in ("recordings/old", "elsewhere/old", "takes/old")]
        for file in again:
            print("the new one stored", os.path.relpath(file.location, folder))
        assert not {file.location for file in again} & set(hashes)
        for location, digest in hashes.items():
            assert hashlib.sha256(Path(location).read_bytes()).hexdigest() == digest, location
        modes = {str(path.relative_to(folder)): oct(path.stat().st_mode & 0o777) for path in Path(folder).glob("data/*")}
        print("permissions:", modes)
        for name in ("old.mp4", "killed.mp4"):
            assert get(program.url, "/recordings/" + name, "DELETE")[0] == 200, name
            assert get(program.url, "/recordings/" + name)[0] == 404, name
        left = sorted(path.name for path in Path(folder, "data/recordings").iterdir())
        assert left == ["old-2.mp4", "old-2.mp4.json"], left
        log = "".join(program.log)
        assert "cannot any more" in log, log
        program.stop()
    print("all went well")


asyncio.run(main())
