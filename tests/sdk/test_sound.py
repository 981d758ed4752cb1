"""Sound that comes in sentences and bursts, as voice agents send it: everything said is in the recording, in its place.

The client is the stock one without a queue (`queue_size_ms=0`): while it is given nothing it sends nothing, and its RTP time stands
still.
"""

import asyncio
import json
import tempfile
import urllib.parse
import urllib.request

import pytest

import sync
from conftest import Reelroom
from person import Person

pytestmark = pytest.mark.asyncio

ROOM = "an agent"
# What its microphone does, and for how long; between two of them it speaks.
TIMES = [("silence", 0.3), ("burst", 0.4), ("silence", 2.2), ("burst", 0.12), ("silence", 0.9)]
SPEAKS_S = 3.2


def call(server, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


async def recorded(server, room):
    """The finished recording of a room, once it is there."""
    for _ in range(600):
        entries = (await asyncio.to_thread(call, server, "/recordings?" + urllib.parse.urlencode({"roomName": room})))["recordings"]
        if entries and entries[0]["status"] == "complete":
            return entries[0]["name"]
        await asyncio.sleep(0.1)
    raise AssertionError("it is not complete after a minute")


async def test_every_sentence_is_heard_in_its_place():
    server = Reelroom()
    ada = Person(queue_ms=0)
    try:
        token = (await asyncio.to_thread(call, server, "/token", {"roomName": ROOM, "participantName": "Ada"}))["token"]
        await ada.join(server.url, token)
        await asyncio.to_thread(call, server, "/recordings/start", {"roomName": ROOM})
        await asyncio.sleep(SPEAKS_S)
        events = []
        for what, seconds in TIMES:
            if what == "silence":
                events.append(sync.Event(what, *ada.silence(seconds), is_silent=True))
            else:
                events.append(sync.Event(what, *ada.burst(seconds), is_late=True))
            await asyncio.sleep(seconds + SPEAKS_S)
        await asyncio.to_thread(call, server, "/recordings/stop", {"roomName": ROOM})
        name = await recorded(server, ROOM)
        with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
            urllib.request.urlretrieve(f"{server.url}/recordings/{urllib.parse.quote(name, safe='')}", file.name)
            verdict = sync.judge(await asyncio.to_thread(sync.measure, file.name), events, ada.stalls)
        assert not verdict.problems, (verdict, events, ada.stalls)
    finally:
        await ada.leave()
        await asyncio.to_thread(server.stop)
