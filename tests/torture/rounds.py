"""One round: a person in a room, recordings that are asked for, a disaster, and what has to come of it."""

import asyncio
import hashlib
import time
import urllib.parse

import film
import sync
from film import Expected, Unplayable
from house import Refused
from person import Person

# A busy machine composes late, and loses nothing by it.
SETTLED_S = 300
PACKET_S = 0.02
# Of what cannot be heard so much need not be told: the edges of tones.
UNTOLD_S = 0.15


class Asked:
    """A recording that was asked for."""

    def __init__(self, name, person, began):
        self.name, self.person, self.began = name, person, began
        self.ended, self.killed, self.holes = None, False, []
        # What happened, where it is known to a hundredth of a second ([`sync.Event`]).
        self.events = []
        # True, False, or None where it may be either.
        self.recovered = False

    def expected(self):
        return Expected(self.began, self.ended, self.killed, self.holes)


class Round:
    """What a disaster has to work with. `kind` and `number` name it in every message."""

    def __init__(self, number, kind, house, rng, folder, is_brisk):
        self.number, self.kind, self.house, self.rng, self.folder = number, kind, house, rng, folder
        self.is_brisk = is_brisk
        self.room = f"Round {number}: {kind}"
        self.asked, self.notes, self.found, self.checked = [], [], [], set()
        # Recordings whose start nobody was told of: they may be there, and then have to play.
        self.may_have_more = False
        self.person = None
        # Makes who joins next.
        self.newcomer = Person

    def note(self, text):
        self.notes.append(text)

    async def pause(self, least_s, most_s):
        if self.is_brisk:
            most_s = least_s + (most_s - least_s) / 3
        await asyncio.sleep(self.rng.uniform(least_s, most_s))

    async def join(self):
        body = {"roomName": self.room, "participantName": "Ada"}
        token = (await self.house.acall("/token", body))["token"]
        self.person = self.newcomer()
        await self.person.join(self.house.url, token)

    async def leave(self):
        if self.person:
            await self.person.leave()

    async def begin(self):
        """Somebody presses Record."""
        if self.person is None:
            await self.join()
        before = self.person.clock()
        answer = await self.house.acall("/recordings/start", {"roomName": self.room})
        asked = Asked(answer["recording"]["name"], self.person, (before, self.person.clock()))
        self.asked.append(asked)
        return asked

    async def end(self):
        """Somebody presses Stop."""
        before = self.person.clock()
        await self.house.acall("/recordings/stop", {"roomName": self.room})
        self.asked[-1].ended = (before, self.person.clock())

    async def kill(self):
        """The program dies."""
        now = self.person.clock()
        self.house.kill()
        for asked in self.asked:
            if asked.ended is None:
                asked.ended, asked.killed, asked.recovered = (now, self.person.clock()), True, True
        await self.person.leave()
        self.person = None

    async def restart(self, dies=False):
        """The program is started anew on purpose, and whoever was in the room comes back: the recording goes on. It may die before they do."""
        before, was = self.person.clock(), self.person
        await self.house.hand_over()
        await asyncio.gather(was.leave(), self.house.start())
        if dies:
            self.house.kill()
            await self.house.start()
        self.newcomer = lambda: Person(began=was.began)
        await self.join()
        self.newcomer = Person
        was.stalls += self.person.stalls
        self.person.stalls = was.stalls
        for asked in self.asked:
            if asked.ended is None:
                asked.holes.append((before, self.person.clock()))

    async def refused(self, path, body, *words):
        """The call is refused, and a person can read why."""
        try:
            await self.house.acall(path, body)
        except Refused as refusal:
            message = refusal.message()
            assert 400 <= refusal.status < 600 and refusal.status != 500, refusal
            assert any(word in message for word in words), f"{path} is refused with {refusal}"
            return message
        raise AssertionError(f"{path} was not refused")

    async def listed(self):
        return await self.house.recordings(roomName=self.room)

    async def until_listed(self, condition, what, seconds=SETTLED_S):
        """Waits until the listed entry of the last recording is such."""
        end = time.monotonic() + seconds
        name = self.asked[-1].name
        while True:
            entry = next((entry for entry in await self.listed() if entry["name"] == name), None)
            if entry and condition(entry):
                return entry
            assert time.monotonic() < end, f"{what} did not happen within {seconds} s: {entry}"
            await asyncio.sleep(0.1)

    async def settle(self):
        """Waits until all is finished, and looks at every recording of the room."""
        names = {asked.name for asked in self.asked}
        end = time.monotonic() + SETTLED_S
        while True:
            entries = await self.listed()
            there = {entry["name"] for entry in entries if entry["status"] == "complete" and "upload" not in entry}
            if names <= there and len(there) == len(entries):
                break
            broken = [entry for entry in entries if entry["status"] == "failed"]
            assert not broken, f"listed as failed: {broken}"
            assert time.monotonic() < end, f"not complete after {SETTLED_S} s: {entries}; wanted {names}"
            await asyncio.sleep(0.2)
        for entry in entries:
            if entry["name"] in self.checked:
                continue
            asked = next((asked for asked in self.asked if asked.name == entry["name"]), None)
            assert asked or self.may_have_more, f"nobody asked for {entry}"
            found = await self.check(entry, asked)
            self.checked.add(entry["name"])
            self.found += [found] if found else []
        end = time.monotonic() + 5
        while self.house.composers():
            assert time.monotonic() < end, f"composers are left: {self.house.composers()}"
            await asyncio.sleep(0.1)
        return entries

    async def check(self, entry, asked):
        path = self.folder / f"{entry['id']}.mp4"
        await self.house.download(entry["name"], path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert entry.get("sha256") in (digest, None), f"its SHA-256 is {digest}: {entry}"
        assert entry["size"] == path.stat().st_size, f"it has {path.stat().st_size} bytes: {entry}"
        found = None
        if asked is None:
            await asyncio.to_thread(film.probe, path)
        else:
            if asked.recovered is not None and entry["recovered"] != asked.recovered:
                raise AssertionError(f"recovered should be {asked.recovered}: {entry}")
            assert entry.get("lostSeconds", 0) <= film.LOST_S, entry
            try:
                found = await asyncio.to_thread(self.look, path, asked)
            except Unplayable as problem:
                what = f"{path}, {asked.expected()}, events {asked.events}, stalls {asked.person.stalls[-8:]}"
                raise Unplayable(f"{problem} ({what})") from None
            assert abs(entry["duration"] - found.duration_s) < 0.1, (entry, found)
        if entry["status"] == "complete":
            await self.check_report(entry["name"], found)
        path.unlink()
        return found

    async def check_report(self, name, found):
        """All that was received is in the file, or the report says that it is not."""
        report = await self.house.acall(f"/recordings/{urllib.parse.quote(name, safe='')}/report")
        told_s = 0.0
        for track in report["tracks"].values():
            dropped = sum(track.get("dropped", {}).values())
            whole = track["placed"] + track["concealed"] + dropped
            assert track["received"] == whole, f"{whole} of {track['received']} packets are accounted for: {track}"
            if track["kind"] == "audio":
                told_s += (dropped + track["concealed"] + track["lost_packets"]) * PACKET_S + track["shortened_samples"] / 48000
                if dropped:
                    self.note(f"told as not in the file: {dropped} packets of sound, {track['dropped']}")
        if found and found.missing_s > told_s + UNTOLD_S:
            raise Unplayable(f"{found.missing_s:.2f} s are nowhere to be heard, and the report tells of {told_s:.2f} s")

    def look(self, path, asked):
        if asked.events:
            return sync.look(str(path), asked.expected(), asked.person.stalls, asked.events)
        return film.look(str(path), asked.expected(), asked.person.stalls)
