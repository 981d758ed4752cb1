"""Those in a room are told how its recording is and what is deleted, as the stock client hears it."""

import asyncio
import json
import urllib.parse
import urllib.request

import pytest
from livekit import rtc

from clients import until
from conftest import Reelroom

pytestmark = pytest.mark.asyncio

ROOM = "Test Room"


def call(server, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


async def test_a_stock_client_follows_a_recording_to_its_deletion():
    server = Reelroom()
    ada = rtc.Room()
    told, deleted = [], []
    ada.on("room_metadata_changed", lambda _, metadata: told.append(json.loads(metadata)["recordingStatus"]))
    ada.on("data_received", lambda packet: deleted.append((packet.topic, json.loads(packet.data), packet.participant)))
    try:
        asked = {"roomName": ROOM, "participantName": "Ada"}
        token = (await asyncio.to_thread(call, server, "POST", "/token", asked))["token"]
        await ada.connect(server.url.replace("http", "ws"), token)
        assert json.loads(ada.metadata)["recordingStatus"] == "STOPPED"
        started = await asyncio.to_thread(call, server, "POST", "/recordings/start", {"roomName": ROOM})
        await until(lambda: "STARTED" in told, "being told that it records")
        await asyncio.sleep(1.2)
        await asyncio.to_thread(call, server, "POST", "/recordings/stop", {"roomName": ROOM})
        await until(lambda: told[-1] == "STOPPED", "being told that the file is there", 30)
        name = started["recording"]["name"]
        await asyncio.to_thread(call, server, "DELETE", f"/recordings/{urllib.parse.quote(name, safe='')}")
        await until(lambda: deleted, "being told of the deletion")
        gone = {"recordingName": name, "id": started["recording"]["id"]}
        assert deleted == [("RECORDING_DELETED", gone, None)]
        assert server.errors() == []
    finally:
        await ada.disconnect()
        await asyncio.to_thread(server.stop)
