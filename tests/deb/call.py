"""Somebody elsewhere uses a server that has just been installed: becomes its owner or signs in, calls with a stock LiveKit client, records, and looks into
the file. Prints what it found, as JSON, with the seconds since the time that it was given.

    call.py --host 10.78.0.1 --port 6080 --since 1700000000.0 --link SECRET --seconds 5 --file first.mp4
"""

import argparse
import asyncio
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from livekit import rtc

sys.path.insert(0, str(Path(__file__).parents[1] / "sdk"))

from clients import Camera  # noqa: E402
from recordings import streams  # noqa: E402

PASSWORD = "correct horse battery staple"
ROOM = "the first"


class Refused(Exception):
    """An answer that is none of success."""

    def __init__(self, code, said):
        super().__init__(said)
        self.code = code


class Owner:
    """A browser of the owner, without the browser."""

    def __init__(self, host, port):
        # The server's own certificate, where it has one.
        certificate = os.environ.get("SSL_CERT_FILE")
        self.tls = ssl.create_default_context(cafile=certificate) if certificate else None
        self.url = f"{'https' if certificate else 'http'}://{host}:{port}"
        self.headers = {"content-type": "application/json"}

    def ask(self, path, body=None, method=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, self.headers, method=method)
        try:
            return urllib.request.urlopen(request, timeout=30, context=self.tls)
        except urllib.error.HTTPError as error:
            raise Refused(error.code, f"{path}: {error.code} {error.read().decode(errors='replace')}") from error

    def json(self, path, body=None, method=None):
        with self.ask(path, body, method) as answer:
            return json.load(answer)

    def signs_in(self, path, body):
        with self.ask(path, body) as answer:
            cookies = [line.split(";")[0] for line in answer.headers.get_all("set-cookie")]
            self.headers |= {"cookie": "; ".join(cookies), "x-csrf-token": json.load(answer)["csrf"]}

    def recordings(self):
        return self.json("/recordings")["recordings"]


async def call(owner, seconds, since, found):
    token = owner.json("/token", {"roomName": ROOM, "participantName": "Ann"})["token"]
    session = rtc.Room()
    await session.connect(owner.url.replace("http", "ws", 1), token)
    found["joined_s"] = time.time() - since
    camera = Camera((200, 30, 30, 255), 440)
    await camera.publish(session)
    owner.json("/recordings/start", {"roomName": ROOM})
    found["recording_s"] = time.time() - since
    await asyncio.sleep(seconds)
    return session, camera


async def until_complete(owner, count, stops=False):
    """When so many recordings, and all that there are, are complete; what is still recorded is stopped where that is wanted."""
    end = time.monotonic() + 180
    while True:
        try:
            entries = await asyncio.to_thread(owner.recordings)
        except (Refused, urllib.error.URLError, ConnectionError, TimeoutError) as error:
            # It may be on its way up.
            entries = [{"status": f"not listed: {error}"}]
        states = [entry["status"] for entry in entries]
        if "failed" in states:
            raise SystemExit(f"a recording failed: {entries}")
        if len(states) >= count and all(state == "complete" for state in states):
            return entries
        if stops:
            try:
                await asyncio.to_thread(owner.json, "/recordings/stop", {"roomName": ROOM})
            except (Refused, urllib.error.URLError, ConnectionError, TimeoutError):
                # It is stopped, or not up.
                pass
        if time.monotonic() > end:
            raise SystemExit(f"not complete after three minutes: {entries}")
        await asyncio.sleep(0.2)


def keep(owner, entry, file):
    """The file, looked into."""
    with owner.ask("/recordings/" + urllib.parse.quote(entry["name"], safe="")) as answer, open(file, "wb") as out:
        while part := answer.read(1 << 20):
            out.write(part)
    looked = streams(file)
    codecs = sorted(stream["codec_name"] for stream in looked["streams"])
    if codecs != ["aac", "h264"]:
        raise SystemExit(f"{file} has {codecs}")
    return float(looked["format"]["duration"])


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", default="6080")
    parser.add_argument("--since", type=float, default=time.time())
    parser.add_argument("--link", help="secret of a link that makes an owner; without, the password of before")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--file", help="where the recording goes")
    parser.add_argument("--interrupted", help="call until this file is there; what becomes of the call does not matter")
    parser.add_argument("--list", action="store_true", help="record nothing, and say how many recordings there are")
    said = parser.parse_args()
    owner, found = Owner(said.host, said.port), {}
    if said.link:
        owner.signs_in("/owner/password", {"link": said.link, "password": PASSWORD})
    else:
        owner.signs_in("/owner/session", {"password": PASSWORD})
    if said.list:
        found["recordings"] = len(await until_complete(owner, 0))
        print(json.dumps(found))
        return
    before = len(owner.recordings())
    session, camera = await call(owner, said.seconds, said.since, found)
    if said.interrupted:
        print("recording", flush=True)
        while not Path(said.interrupted).exists():
            await asyncio.sleep(0.1)
        # Who somebody is outlives a restart, and so does what was recorded.
        found["recordings"] = len(await until_complete(owner, before + 1, stops=True))
        camera.stop()
    else:
        owner.json("/recordings/stop", {"roomName": ROOM})
        entries = await until_complete(owner, before + 1)
        found["complete_s"] = time.time() - said.since
        camera.stop()
        found["duration_s"] = keep(owner, entries[0], said.file)
        found["bytes"] = Path(said.file).stat().st_size
        if not said.seconds - 1 <= found["duration_s"] <= said.seconds + 3:
            raise SystemExit(f"{said.seconds} s were recorded, and the file has {found['duration_s']} s")
    print(json.dumps(found))
    try:
        await asyncio.wait_for(session.disconnect(), 10)
    except (TimeoutError, rtc.ConnectError):
        # Its server has been another one meanwhile.
        pass


asyncio.run(main())
