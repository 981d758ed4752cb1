"""Measures what it costs to ask who somebody is and what they may: lists with and without that, sign-ins, and those who follow.

    python bench/access.py [--recordings 1000] [--rounds 15] [--requests 300] [--sign-ins 20] [--followers 1000]

Every ratio is of two servers that take turns in this very run: one of them lets in everybody, the other one by invitation. Both have the same
library. What asks is one connection of this process, which costs more than most of what it asks for.
"""

import argparse
import http.client
import json
import os
import re
import resource
import socket
import statistics
import threading
import time
import urllib.parse

from livekit import api

from server import Server, p95, show

PASSWORD = "correct horse battery"
KEYS = {"LIVEKIT_API_KEY": "bench", "LIVEKIT_API_SECRET": "a secret that is long enough to be one"}
ROOM = "bench"


class Asker:
    """A connection that stays open, and what it shows."""

    def __init__(self, server, **headers):
        address = urllib.parse.urlsplit(server.url)
        self.connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        self.headers = headers

    def ask(self, method, path, body=None):
        headers = {"Content-Type": "application/json", **self.headers}
        self.connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self.connection.getresponse()
        said = answer.read()
        assert answer.status == 200, f"{method} {path}: {answer.status} {said[:200]}"
        return answer, said

    def get(self, path):
        return self.ask("GET", path)[1]


class Owner(Asker):
    """The browser of a server's owner, which has set the password by the link that the first start prints."""

    def __init__(self, server):
        super().__init__(server)
        link = re.search(r"/owner#setup=(\S+)", server.process.stdout.readline()).group(1)
        self.keep(*self.ask("POST", "/owner/password", {"link": link, "password": PASSWORD}))

    def keep(self, answer, said):
        cookies = [line.split(";")[0] for line in answer.headers.get_all("set-cookie")]
        self.headers = {"Cookie": "; ".join(cookies), "X-CSRF-Token": json.loads(said)["csrf"]}

    def key(self, *rights):
        return json.loads(self.ask("POST", "/owner/keys", {"name": "bench", "rights": rights})[1])["secret"]


def library(count):
    """Puts so many small files where recordings stand."""

    def fill(data):
        (data / "recordings").mkdir()
        for number in range(count):
            (data / "recordings" / f"{ROOM}-{number}.mp4").write_bytes(b"x" * 1000)

    return fill


def until_listed(asker, count):
    began = time.monotonic()
    while len(json.loads(asker.get("/recordings?limit=1000"))["recordings"]) < count:
        assert time.monotonic() - began < 60, "the library is not listed"
        time.sleep(0.2)


def seconds_of(asker, path, count):
    began = time.monotonic()
    for _ in range(count):
        asker.get(path)
    return time.monotonic() - began


def measure_lists(options, opened, invited, key, figures):
    askers = {"open": Asker(opened), "invite": Asker(invited, Authorization=f"Bearer {key}")}
    for asker in askers.values():
        until_listed(asker, options.recordings)
    for limit in (20, 1000):
        path, count = f"/recordings?limit={limit}", max(10, options.requests * 20 // max(limit, 20))
        took, ratios = {"open": [], "invite": []}, []
        for number in range(options.rounds):
            # Who begins has the other half of the machine's mood the next time.
            for name in ("open", "invite") if number % 2 else ("invite", "open"):
                took[name].append(seconds_of(askers[name], path, count) / count)
            ratios.append(took["invite"][-1] / took["open"][-1])
        for name, values in took.items():
            figures[f"GET {path}, {name}, ms"] = (statistics.median(values) * 1000, None)
        figures[f"GET {path}, invite to open, median of {len(ratios)}"] = (statistics.median(ratios), 1.1)


def measure_sign_ins(options, server, owner, key, figures):
    """One after the other, and what others wait meanwhile."""
    other, path = Asker(server, Authorization=f"Bearer {key}"), "/recordings?limit=20"

    def waits(going_on):
        waited = []
        while going_on():
            began = time.monotonic()
            other.get(path)
            waited.append(time.monotonic() - began)
            time.sleep(0.005)
        return waited

    until = time.monotonic() + 2
    calm = waits(lambda: time.monotonic() < until)
    took = []

    def sign_in():
        for _ in range(options.sign_ins):
            began = time.monotonic()
            owner.keep(*owner.ask("POST", "/owner/session", {"password": PASSWORD}))
            took.append(time.monotonic() - began)

    signing = threading.Thread(target=sign_in)
    before = server.cpu()
    signing.start()
    busy = waits(signing.is_alive)
    signing.join()
    cpu = server.cpu() - before
    assert len(took) == options.sign_ins, "somebody could not sign in"
    # What the other one asked for is in it too, and is little against it.
    figures[f"a sign-in, processor time, mean of {len(took)}, ms"] = (cpu / len(took) * 1000, None)
    figures["a sign-in, median, ms"] = (statistics.median(took) * 1000, None)
    for what, values in (("calm", calm), ("while somebody signs in", busy)):
        figures[f"GET {path}, {what}, median, ms"] = (statistics.median(values) * 1000, None)
        figures[f"GET {path}, {what}, p95, ms"] = (p95(values) * 1000, None)


def record(server):
    """Two seconds of an empty room."""
    grants = api.VideoGrants(room_create=True)
    token = api.AccessToken(KEYS["LIVEKIT_API_KEY"], KEYS["LIVEKIT_API_SECRET"]).with_grants(grants).to_jwt()
    asker = Asker(server, Authorization=f"Bearer {token}")
    asker.ask("POST", "/twirp/livekit.RoomService/CreateRoom", {"name": ROOM, "emptyTimeout": 300})
    server.call("/recordings/start", {"roomName": ROOM})
    time.sleep(2)
    server.call("/recordings/stop", {"roomName": ROOM})
    time.sleep(2)


def measure_followers(options, server, figures):
    address = urllib.parse.urlsplit(server.url)
    # The first ones make what others share.
    record(server)
    before, followers = server.resident_mb(), []
    for _ in range(options.followers):
        follower = socket.create_connection((address.hostname, address.port), timeout=30)
        follower.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert follower.recv(2048).startswith(b"HTTP/1.1 200"), "nobody more may follow"
        followers.append(follower)
    time.sleep(1)
    silent = server.resident_mb()
    record(server)
    told = server.resident_mb()
    each = 1024 / len(followers)
    figures[f"each of {len(followers)} who follow /events, kB"] = ((silent - before) * each, 64)
    figures["the same, who read nothing, after a recording, kB"] = ((told - before) * each, None)
    for follower in followers:
        follower.close()


def measure(options):
    figures = {}
    fill = library(options.recordings)
    opened = Server(fill=fill, ACCESS="open", **KEYS)
    invited = Server(fill=fill, ACCESS="invite", **KEYS)
    # Of a folder in which nothing is yet, as the figures of the open one are.
    fresh = Server(ACCESS="invite", **KEYS)
    try:
        figures["started by invitation in, s"] = (fresh.started_in, 0.2)
        Owner(fresh)
        time.sleep(3)
        figures["resident by invitation, idle, with an owner, MB"] = (fresh.resident_mb(), 60)
        owner = Owner(invited)
        key = owner.key("list")
        measure_lists(options, opened, invited, key, figures)
        measure_sign_ins(options, invited, owner, key, figures)
        measure_followers(options, opened, figures)
    finally:
        for server in (opened, invited, fresh):
            server.stop()
    return figures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--recordings", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--sign-ins", type=int, default=20)
    parser.add_argument("--followers", type=int, default=1000)
    options = parser.parse_args()
    # Of this process and of the servers, which have it from here: one for each who follows.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(f"\nload of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n", flush=True)
    show(measure(options))


if __name__ == "__main__":
    main()
