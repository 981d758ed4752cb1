"""A room that records only those who agree, with stock clients: what is in the file is judged by what is seen and heard in it."""

import asyncio
import json
import subprocess
import time
import urllib.request
from urllib.parse import quote

import numpy as np
import pytest
import pytest_asyncio
from livekit import api, rtc

from clients import Camera, until
from conftest import Reelroom
from recordings import COMPLETE, composite, reaches

pytestmark = pytest.mark.asyncio

KEY, SECRET = "key", "a secret that is long enough to be one"
PASSWORD = "correct horse battery"
CONSENT = "reelroom.consent"
ADA, BOB, CEM = ((255, 0, 0, 255), 440), ((0, 0, 255, 255), 880), ((0, 255, 0, 255), 1760)


class House:
    """A program that lets in by invitation, as its owner."""

    def __init__(self):
        self.server = Reelroom(ACCESS="invite", LIVEKIT_API_KEY=KEY, LIVEKIT_API_SECRET=SECRET)
        self.url = self.server.url
        link = self.server.lines.get(timeout=20).strip().split("/owner#setup=")[1]
        answer, headers = self.ask("POST", "/owner/password", {"link": link, "password": PASSWORD})
        cookies = [cookie.split(";")[0] for cookie in headers.get_all("set-cookie")]
        self.owner = {"cookie": "; ".join(cookies), "x-csrf-token": answer["csrf"]}

    def ask(self, method, path, said=None, **headers):
        body = None if said is None else json.dumps(said).encode()
        headers = {"content-type": "application/json", **headers}
        request = urllib.request.Request(self.url.rstrip("/") + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read()), answer.headers

    def own(self, method, path, said=None):
        return self.ask(method, path, said, **self.owner)[0]

    def make(self, name, **said):
        room = self.own("POST", "/rooms", {"name": name, **said})
        return next(link["path"] for link in room["links"] if link["role"] == "guest").split("#")[1]

    async def join(self, link, room, name):
        said = {"roomName": room, "participantName": name}
        token, _ = await asyncio.to_thread(self.ask, "POST", "/token", said, **{"x-reelroom-link": link})
        session = rtc.Room()
        await session.connect(self.url.replace("http", "ws"), token["token"])
        return session, token["consent"]

    async def until_stored(self, name):
        for _ in range(600):
            all = (await asyncio.to_thread(self.own, "GET", "/recordings"))["recordings"]
            if any(one["name"] == name and one["status"] == "complete" and "upload" not in one for one in all):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{name} is not stored: {all}")

    def file(self, name, path):
        request = urllib.request.Request(f"{self.url.rstrip('/')}/recordings/{quote(name)}?download", headers=self.owner)
        with urllib.request.urlopen(request, timeout=60) as answer:
            path.write_bytes(answer.read())
        return path


@pytest_asyncio.fixture
async def house():
    house = House()
    yield house
    house.server.stop()


def seen(file, seconds):
    """Which of red, blue and green a part of the picture is at a time."""
    command = ["ffmpeg", "-v", "error", "-ss", str(seconds), "-i", file, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    picture = np.frombuffer(raw, dtype=np.uint8).reshape(-1, 3).astype(int)
    strong, weak = picture > 150, picture < 100
    colours = {"red": (0, 1, 2), "green": (1, 0, 2), "blue": (2, 0, 1)}
    part = {name: (strong[:, a] & weak[:, b] & weak[:, c]).mean() for name, (a, b, c) in colours.items()}
    return {name for name, share in part.items() if share > 0.002}


def heard(file, seconds):
    """Which of the three tones are to be heard in the second from a time on."""
    command = ["ffmpeg", "-v", "error", "-ss", str(seconds), "-t", "1", "-i", file, "-vn", "-ac", "1", "-ar", "48000", "-f", "f32le", "-"]
    samples = np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, dtype=np.float32)
    assert len(samples) > 40_000, len(samples)
    amplitudes = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) * 4 / len(samples)
    at = np.arange(len(amplitudes)) * 48000 / len(samples)
    return {hertz for hertz in (440, 880, 1760) if amplitudes[abs(at - hertz) < 10].max() > 0.01}


async def says(session, answer):
    await session.local_participant.set_attributes({CONSENT: answer})


def shown(session, identity):
    other = session.remote_participants.get(identity)
    return other and other.attributes.get(CONSENT)


async def test_who_declines_says_nothing_or_takes_it_back_is_absent_by_picture_and_sound(house, tmp_path):
    room = "Who agrees"
    link = await asyncio.to_thread(house.make, room, consent=True)
    people, cameras = {}, []
    for name, (colour, hertz) in {"Ada": ADA, "Bob": BOB, "Cem": CEM}.items():
        people[name], is_asked = await house.join(link, room, name)
        assert is_asked
        camera = Camera(colour, hertz)
        await camera.publish(people[name])
        cameras.append(camera)
    ada, bob, cem = people.values()
    await until(lambda: shown(ada, "Bob") == shown(ada, "Cem") == "asked", "all are asked")
    await says(ada, "yes")
    await says(bob, "no")
    await until(lambda: (shown(cem, "Ada"), shown(cem, "Bob")) == ("yes", "no"), "who is recorded is shown to the others")

    # Also whoever records by LiveKit's own API gets nobody who has not agreed.
    async with api.LiveKitAPI(house.url, KEY, SECRET) as livekit:
        recording = (await asyncio.to_thread(house.own, "POST", "/recordings/start", {"roomName": room}))["recording"]
        began = recording["startedAt"] / 1000
        output = [api.EncodedFileOutput(filepath="recordings/by-twirp")]
        twirp = await livekit.egress.start_room_composite_egress(composite(room, file_outputs=output))
        # Nobody agrees in somebody else's name.
        with pytest.raises(api.ServerError):
            await livekit.room.update_participant(
                api.UpdateParticipantRequest(room=room, identity="Bob", attributes={CONSENT: "yes"})
            )
        await asyncio.sleep(5)
        await livekit.egress.stop_egress(api.StopEgressRequest(egress_id=twirp.egress_id))
        both_from = time.time() - began
        await says(bob, "yes")
        await asyncio.sleep(5)
        only_bob_from = time.time() - began
        await says(ada, "no")
        await asyncio.sleep(4)
        await asyncio.to_thread(house.own, "POST", "/recordings/stop", {"roomName": room})
        by_twirp = (await reaches(livekit, twirp.egress_id, COMPLETE, 60)).file_results[0].location
        assert seen(by_twirp, 3) == {"red"} and heard(by_twirp, 3) == {440}

    name = recording["name"]
    await house.until_stored(name)
    file = await asyncio.to_thread(house.file, name, tmp_path / "recording.mp4")
    # A keyframe and the jitter of the network take their time; the end of one that was taken back does not.
    for at in (2, both_from - 1.2):
        assert (seen(file, at), heard(file, at)) == ({"red"}, {440}), at
    for at in (both_from + 2, only_bob_from - 1.2):
        assert (seen(file, at), heard(file, at)) == ({"red", "blue"}, {440, 880}), at
    for at in (only_bob_from + 0.3, only_bob_from + 2):
        assert (seen(file, at), heard(file, at)) == ({"blue"}, {880}), at

    report = await asyncio.to_thread(house.own, "GET", f"/recordings/{quote(name)}/report")
    told = {one["identity"]: one for one in report["consents"]}
    assert {who: one["answer"] for who, one in told.items()} == {"Ada": "declined", "Bob": "agreed", "Cem": "none"}
    assert told["Ada"]["agreed_at"] / 1e9 < began < told["Ada"]["withdrawn_at"] / 1e9
    assert told["Bob"]["declined_at"] / 1e9 < began < told["Bob"]["agreed_at"] / 1e9
    why = {track["identity"]: track["left_out"]["why"] for track in report["tracks"].values()}
    assert why == {"Ada": "declined", "Bob": "declined", "Cem": "not_agreed"}
    assert all(track["received"] == 0 for track in report["tracks"].values() if track["identity"] == "Cem")
    for camera in cameras:
        camera.stop()
    for session in people.values():
        await session.disconnect()


async def test_an_answer_outlives_a_lost_connection_and_not_the_room(house):
    room = "Again"
    link = await asyncio.to_thread(house.make, room, consent=True)
    ada, _ = await house.join(link, room, "Ada")
    bob, _ = await house.join(link, room, "Bob")
    await says(ada, "yes")
    await until(lambda: shown(bob, "Ada") == "yes", "Bob sees that Ada agrees")
    # Another tab of hers is another participant, and has said nothing.
    tab, _ = await house.join(link, room, "Ada")
    assert tab.local_participant.identity != "Ada"
    await until(lambda: shown(bob, tab.local_participant.identity) == "asked", "the second tab is asked")
    await ada.disconnect()
    await tab.disconnect()
    await bob.disconnect()
    async with api.LiveKitAPI(house.url, KEY, SECRET) as livekit:
        await livekit.room.delete_room(api.DeleteRoomRequest(room=room))
    ada, _ = await house.join(link, room, "Ada")
    assert ada.local_participant.attributes.get(CONSENT) == "asked"
    await ada.disconnect()


async def test_a_room_that_begins_to_ask_records_nobody_any_more_who_has_not_agreed(house, tmp_path):
    room = "Later"
    link = await asyncio.to_thread(house.make, room)
    ada, is_asked = await house.join(link, room, "Ada")
    assert not is_asked and CONSENT not in ada.local_participant.attributes
    camera = Camera(*ADA)
    await camera.publish(ada)
    recording = (await asyncio.to_thread(house.own, "POST", "/recordings/start", {"roomName": room}))["recording"]
    began = recording["startedAt"] / 1000
    await asyncio.sleep(4)
    asked_at = time.time() - began
    await asyncio.to_thread(house.own, "PATCH", "/rooms/Later", {"consent": True})
    await until(lambda: ada.local_participant.attributes.get(CONSENT) == "asked", "Ada is asked")
    await asyncio.sleep(3)
    await asyncio.to_thread(house.own, "POST", "/recordings/stop", {"roomName": room})
    await house.until_stored(recording["name"])
    file = await asyncio.to_thread(house.file, recording["name"], tmp_path / "recording.mp4")
    assert (seen(file, asked_at - 1.2), heard(file, asked_at - 1.2)) == ({"red"}, {440})
    for at in (asked_at + 0.4, asked_at + 1.5):
        assert (seen(file, at), heard(file, at)) == (set(), set()), at
    camera.stop()
    await ada.disconnect()
