"""What a hostile guest, page, client or passer-by tries. Each attack is a coroutine that is given an [`Attack`] and ends by itself."""

import asyncio
import os
import random
import re
import socket
import struct
import time
import urllib.parse

import aiohttp
from google.protobuf import json_format
from livekit import api, rtc
from livekit.protocol import egress as egress_proto
from livekit.protocol import models
from livekit.protocol import room as room_proto
from livekit.protocol import rtc as proto

import mutations
from guest import Guest, Turned

ATTACKS = {}
FAILURES = (Turned, aiohttp.ClientError, asyncio.TimeoutError, OSError)


def attack(name, what):
    def add(run):
        ATTACKS[name] = (run, what)
        return run

    return add


class Attack:
    """What an attack has to work with: the server, the call's room, and how much of it is to be tried."""

    def __init__(self, house, room, session, seed, scale):
        self.house, self.room, self.session = house, room, session
        self.url = house.url
        self.rng = random.Random(seed)
        # 1 is all of it.
        self.scale = scale
        self.notes = {}
        # What the server must not have done.
        self.faults = []

    def times(self, count):
        return max(1, int(count * self.scale))

    def some(self, items):
        items = list(items)
        return self.rng.sample(items, self.times(len(items)))

    def note(self, what, count=1):
        self.notes[what] = self.notes.get(what, 0) + count

    async def token(self, name="Mallory", room=None):
        """As any guest gets one."""
        return (await self.house.acall("/token", {"roomName": room or self.room, "participantName": name}))["token"]

    def admin(self, room):
        """As an app has it, for its own room."""
        grants = api.VideoGrants(room_create=True, room_list=True, room_admin=True, room_record=True, room=room)
        return api.AccessToken(self.house.key, self.house.secret).with_grants(grants).to_jwt()

    def guest(self, token, **options):
        return Guest(self.session, self.url, token, **options)

    async def ask(self, method, path, **options):
        """An HTTP call: its status, or what came of it."""
        try:
            async with self.session.request(method, self.url + path, **options) as answer:
                body = await answer.read()
                self.note(f"HTTP {answer.status}")
                return answer.status, body
        except FAILURES as error:
            self.note(type(error).__name__)
            return None, b""


def request(**fields):
    return proto.SignalRequest(**fields)


def add_track(**fields):
    return request(add_track=proto.AddTrackRequest(**fields))


async def say_all(attack, messages):
    """Says all of it, coming back when thrown out."""
    waiting = list(messages)
    while waiting:
        try:
            async with attack.guest(await attack.token()) as guest:
                while waiting:
                    data, is_text = waiting.pop()
                    await guest.send(data, is_text)
                    attack.note("messages")
                await asyncio.sleep(0.3)
                for said in guest.heard:
                    if said in ("leave", "request_response"):
                        attack.note(f"told: {said}")
        except Turned:
            attack.note("turned out")
            await asyncio.sleep(0.05)


@attack("codecs x layers", "AddTrack with up to 5,000 codecs and layers, which multiply")
async def codecs_and_layers(attack):
    layers = [models.VideoLayer(quality=n % 3, width=n, height=n) for n in range(3000)]
    codecs = [proto.SimulcastCodec(codec="vp8", cid=str(n)) for n in range(3000)]
    messages = [add_track(cid=f"{n}", type=1, source=1, layers=layers, simulcast_codecs=codecs) for n in range(attack.times(30))]
    await say_all(attack, [(message.SerializeToString(), False) for message in messages])


@attack("tracks", "hundreds of announced tracks of one guest")
async def tracks(attack):
    messages = [add_track(cid=f"{n}", name="x" * 200, type=n % 2, source=0) for n in range(attack.times(2000))]
    await say_all(attack, [(message.SerializeToString(), False) for message in messages])


@attack("unknown tracks", "subscriptions, settings and permissions for tracks that are not there, 48 MB of them")
async def unknown_tracks(attack):
    messages = []
    for number in range(attack.times(60)):
        sids = [f"TR_{number}_{n}_{'x' * 20}" for n in range(25_000)]
        messages.append(request(subscription=proto.UpdateSubscription(track_sids=sids, subscribe=number % 2 == 0)))
        messages.append(request(track_setting=proto.UpdateTrackSettings(track_sids=sids)))
    await say_all(attack, [(message.SerializeToString(), False) for message in messages])


@attack("every message", "each message of the signalling protocol, each field in turn too many, too long, odd or extreme")
async def every_message(attack):
    tried = attack.some(mutations.mutations(proto.SignalRequest))
    data = [make().SerializeToString() for _, _, make in tried]
    data = [one for one in data if len(one) <= mutations.MESSAGE_BYTES]
    attack.note("mutations", len(data))
    await say_all(attack, [(one, False) for one in data])


@attack("no messages", "WebSocket messages that are no protobuf, or text, or empty, or large")
async def no_messages(attack):
    rng = attack.rng
    noise = [(rng.randbytes(rng.choice((0, 1, 10, 1000, 100_000, 1_500_000))), False) for _ in range(attack.times(100))]
    texts = [("x" * rng.choice((0, 10, 1_000_000)), True) for _ in range(attack.times(20))]
    # A field that says that it is longer than everything.
    lies = [(bytes([tag << 3 | 2]) + b"\xff\xff\xff\xff\x07" + b"x" * 100, False) for tag in range(1, 30)]
    deep = b""
    for _ in range(20_000):
        deep = bytes([0x0A]) + varint(len(deep)) + deep if len(deep) < 60_000 else deep
    await say_all(attack, noise + texts + lies + [(deep, False)] * attack.times(20))


def varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


@attack("too often", "tens of thousands of small messages a second")
async def too_often(attack):
    small = [
        request(ping=1),
        request(ping_req=proto.Ping(timestamp=1, rtt=1)),
        request(mute=proto.MuteTrackRequest(sid="TR_x", muted=True)),
        request(trickle=proto.TrickleRequest(candidateInit='{"candidate":"candidate:1 1 udp 1 127.0.0.1 9 typ host","sdpMid":"0","sdpMLineIndex":0}', target=0)),
        request(update_metadata=proto.UpdateParticipantMetadata(metadata="x" * 1000, name="y")),
    ]
    await say_all(attack, [(attack.rng.choice(small).SerializeToString(), False) for _ in range(attack.times(100_000))])


@attack("offers", "offers with thousands of sections and candidates, offers that are none, and one after the other")
async def offers(attack):
    def offer(sections, candidates=0, extra=""):
        head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE " + " ".join(map(str, range(sections))) + "\r\n"
        part = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghabcdefghabcdefgh\r\n"
        part += "a=fingerprint:sha-256 " + ":".join(["AA"] * 32) + "\r\na=setup:actpass\r\na=sendonly\r\na=rtpmap:96 VP8/90000\r\n" + extra
        part += "".join(f"a=candidate:{n} 1 udp {n} 127.0.0.1 {n % 60000 + 1} typ host\r\n" for n in range(candidates))
        sdp = head + "".join(part + f"a=mid:{n}\r\n" for n in range(sections))
        return request(offer=proto.SessionDescription(type="offer", sdp=sdp[:1_800_000]))

    tried = [offer(3000), offer(300), offer(1, 15_000), offer(30, 300), offer(1, 0, "a=ssrc:1 cname:x\r\n" * 20_000), offer(1, 0, "a=fmtp:96 " + "x" * 500_000 + "\r\n")]
    tried += [request(offer=proto.SessionDescription(type="offer", sdp=text)) for text in ("", "v=0", "m=" * 100_000, mutations.ODD_TEXT)]
    tried += [request(answer=proto.SessionDescription(type="answer", sdp="v=0\r\n" * 10_000))]
    await say_all(attack, [(message.SerializeToString(), False) for message in tried * attack.times(8)])


@attack("candidates", "thousands of candidates, long and wrong")
async def candidates(attack):
    def trickle(number):
        text = f"candidate:{number} 1 udp {number} 10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255} 9 typ host"
        return request(trickle=proto.TrickleRequest(candidateInit=f'{{"candidate":"{text}","sdpMid":"0","sdpMLineIndex":0}}', target=number % 2))

    long = [request(trickle=proto.TrickleRequest(candidateInit='{"candidate":"' + "x" * 500_000 + '"}')), request(trickle=proto.TrickleRequest(candidateInit="[" * 500_000))]
    await say_all(attack, [(message.SerializeToString(), False) for message in [*map(trickle, range(attack.times(20_000))), *long * 5]])


@attack("deaf guests", "WebSockets that are never read from, while much is said to everybody")
async def deaf_guests(attack):
    room = f"deaf {attack.rng.random()}"
    deaf = []
    for number in range(attack.times(20)):
        guest = attack.guest(await attack.token(f"Deaf {number}", room), is_deaf=True)
        try:
            deaf.append(await guest.__aenter__())
            # The kernel keeps little of what is not read.
            guest.socket._response.connection.transport.pause_reading()
        except Turned:
            attack.note("turned away")
    headers = {"Authorization": f"Bearer {attack.admin(room)}", "Content-Type": "application/json"}
    for number in range(attack.times(200)):
        body = {"room": room, "metadata": f"{number}" + "x" * 400_000}
        await attack.ask("POST", "/twirp/livekit.RoomService/UpdateRoomMetadata", json=body, headers=headers)
    for guest in deaf:
        guest.socket._response.close()


@attack("join storm", "hundreds of guests who join and leave, and never say a word")
async def join_storm(attack):
    async def come_and_go(number):
        try:
            async with attack.guest(await attack.token(f"Storm {number}")):
                await asyncio.sleep(attack.rng.uniform(0, 0.2))
                attack.note("joined")
        except (*FAILURES, Exception) as error:
            attack.note(f"refused: {type(error).__name__}")

    for start in range(0, attack.times(400), 20):
        await asyncio.gather(*(come_and_go(start + n) for n in range(20)))


@attack("one token", "one token used a hundred times at once")
async def one_token(attack):
    token = await attack.token("Twice")

    async def come():
        try:
            async with attack.guest(token):
                await asyncio.sleep(0.5)
        except Turned:
            attack.note("turned out")

    await asyncio.gather(*(come() for _ in range(attack.times(100))))


@attack("silent connections", "1,500 TCP connections to HTTP and media that say nothing, or a byte in a second")
async def silent_connections(attack):
    http = urllib.parse.urlsplit(attack.url).port
    media, _ = attack.house.ports()
    ends = []
    for number in range(attack.times(1500)):
        try:
            ends.append(await asyncio.wait_for(asyncio.open_connection("127.0.0.1", media if number % 5 == 0 else http), 2))
        except FAILURES:
            attack.note("refused")
    attack.note("open", len(ends))
    for turn in range(attack.times(8)):
        # Somebody else is still served.
        status, _ = await attack.ask("GET", "/healthz", timeout=aiohttp.ClientTimeout(5))
        attack.note("served meanwhile")
        if status != 200:
            attack.faults.append(f"somebody else was not served: {status}")
        for _, writer in ends[:200]:
            try:
                writer.write(b"GET / HTTP/1.1\r\n"[turn : turn + 1])
            except OSError:
                attack.note("cut")
        await asyncio.sleep(0.5)
    for _, writer in ends:
        writer.close()


@attack("fat heads", "4,000 connections with 79 kB of a request's head each, which never ends")
async def fat_heads(attack):
    http = urllib.parse.urlsplit(attack.url).port
    head = b"GET /recordings HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 79_000
    ends = []
    for _ in range(attack.times(4000)):
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", http), 2)
            writer.write(head)
            ends.append(writer)
        except FAILURES:
            attack.note("refused")
    attack.note("open", len(ends))
    for _ in range(attack.times(8)):
        # Somebody else is still served.
        status, _ = await attack.ask("GET", "/recordings", timeout=aiohttp.ClientTimeout(5))
        attack.note("served meanwhile")
        if status != 200:
            attack.faults.append(f"somebody else was not served: {status}")
        await asyncio.sleep(0.5)
    for writer in ends:
        writer.close()


@attack("slow bodies", "1,000 requests whose bodies come a byte in half a second")
async def slow_bodies(attack):
    http = urllib.parse.urlsplit(attack.url).port
    head = b"POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    ends = []
    for _ in range(attack.times(1000)):
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", http), 2)
            writer.write(head)
            ends.append(writer)
        except FAILURES:
            attack.note("refused")
    attack.note("open", len(ends))
    for _ in range(attack.times(8)):
        # Somebody else is still served, by what has something to do.
        status, _ = await attack.ask("GET", "/recordings", timeout=aiohttp.ClientTimeout(5))
        attack.note("served meanwhile")
        if status != 200:
            attack.faults.append(f"somebody else was not served: {status}")
        for writer in ends:
            try:
                writer.write(b"{")
            except OSError:
                attack.note("cut")
        await asyncio.sleep(0.5)
    for writer in ends:
        writer.close()


async def largest_script(attack):
    """The path of the page's largest script."""
    _, page = await attack.ask("GET", "/")
    found, unread = {}, re.findall(r"/?(assets/[\w.-]+\.js)", page.decode())
    while unread:
        path = "/" + unread.pop()
        if path not in found:
            _, script = await attack.ask("GET", path)
            found[path] = len(script)
            # Some are loaded by others.
            unread += re.findall(r"(assets/[\w.-]+\.js)", script.decode())
    return max(found, key=found.get)


@attack("readers of the page that stop", "1,000 readers of its largest script, of four addresses, and 200 of refusals, who take a byte in half a second")
async def stopped_readers(attack):
    path, loop = await largest_script(attack), asyncio.get_running_loop()
    where = ("127.0.0.1", urllib.parse.urlsplit(attack.url).port)
    ends = []
    for number in range(attack.times(1200)):
        end = socket.socket()
        # The kernel of neither side keeps much of what is not read.
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        end.setblocking(False)
        try:
            await asyncio.wait_for(loop.sock_connect(end, where), 2)
            host = "localhost" if number % 6 else "evil.example"
            head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 192.0.2.{number % 4}\r\n\r\n".encode()
            # So many that their refusals do not fit either.
            await asyncio.wait_for(loop.sock_sendall(end, head if number % 6 else head * 2000), 0.1)
        except FAILURES:
            attack.note("not all was taken")
        ends.append(end)
    attack.note("open", len(ends))
    for _ in range(attack.times(20)):
        # Somebody else is still served.
        status, _ = await attack.ask("GET", "/recordings", timeout=aiohttp.ClientTimeout(5))
        attack.note("served meanwhile")
        if status != 200:
            attack.faults.append(f"somebody else was not served: {status}")
        for end in ends:
            try:
                end.recv(1)
            except OSError:
                pass
        await asyncio.sleep(0.5)
    for end in ends:
        end.close()


@attack("the page, over and over", "3,000 times its largest script with gzip, by 128 connections that stay open")
async def the_page_again(attack):
    path, ticks = await largest_script(attack), os.sysconf("SC_CLK_TCK")
    waiting = list(range(attack.times(3000)))

    def spent_s():
        fields = open(f"/proc/{attack.house.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / ticks

    async def ask_on(session):
        while waiting:
            waiting.pop()
            try:
                async with session.get(attack.url + path, headers={"Accept-Encoding": "gzip"}) as answer:
                    await answer.read()
                    attack.note(f"HTTP {answer.status}, {answer.headers.get('Content-Encoding')}")
            except FAILURES as error:
                attack.note(type(error).__name__)

    # What is made at the first time is not measured.
    await attack.ask("GET", path, headers={"Accept-Encoding": "gzip"})
    before, count = spent_s(), len(waiting)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False) as session:
        await asyncio.gather(*(ask_on(session) for _ in range(128)))
    each_ms = 1000 * (spent_s() - before) / count
    # Of a few, the call beside it is what is measured.
    if count >= 1000 and each_ms > 8:
        attack.faults.append(f"an answer costs {each_ms:.1f} ms of a processor")


@attack("other names and pages", "every call by a name that is none of the server's, and from pages of others, as links of recordings or not")
async def other_pages(attack):
    pages = [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
    calls = [("GET", f"/recordings{rest}") for rest in ("", "/a.mp4/url", "/a.mp4/report")]
    calls += [("GET", "/metrics"), ("GET", "/settings.json"), ("GET", "/"), ("POST", "/token"), ("POST", "/recordings/start")]
    calls += [("POST", "/twirp/livekit.RoomService/ListRooms"), ("DELETE", "/recordings/a.mp4"), ("GET", "/rtc"), ("GET", "/rtc/validate")]
    for method, path in calls:
        for headers in pages:
            for query in ("", "?expires=9999999999&signature=x", "?signature=x"):
                status, _ = await attack.ask(method, path + query, headers=headers, timeout=aiohttp.ClientTimeout(15))
                if status not in (403, 421):
                    attack.faults.append(f"{method} {path}{query} with {headers} was answered {status}")


@attack("media over TCP", "frames of ICE-TCP that are too long, cut off or noise")
async def media_tcp(attack):
    media, _ = attack.house.ports()
    for number in range(attack.times(300)):
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", media), 2)
            noise = attack.rng.randbytes(attack.rng.choice((1, 100, 65_535)))
            writer.write(attack.rng.choice((b"\xff\xff", b"\0\0" * 1000, struct.pack(">H", len(noise)), b"")) + noise)
            await asyncio.wait_for(writer.drain(), 2)
            writer.close()
        except FAILURES:
            attack.note("refused")


@attack("datagrams", "noise, STUN of strangers and forged RTP, as fast as it goes")
async def datagrams(attack):
    media, _ = attack.house.ports()
    noise = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end = time.monotonic() + 6 * attack.scale
    sent = 0
    while time.monotonic() < end:
        for _ in range(50):
            name = attack.rng.randbytes(8).hex().encode() + b":abcd"
            padded = name + bytes(-len(name) % 4)
            attribute = struct.pack(">HH", 6, len(name)) + padded
            stun = struct.pack(">HHI", 1, len(attribute), 0x2112A442) + attack.rng.randbytes(12) + attribute
            rtp = b"\x80\x60" + attack.rng.randbytes(200)
            noise.sendto(attack.rng.choice((stun, rtp, b"\x16\xfe\xfd" + bytes(100), attack.rng.randbytes(1400), b"")), ("127.0.0.1", media))
            sent += 1
        await asyncio.sleep(0.002)
    attack.note("datagrams", sent)
    noise.close()


@attack("reliable data", "a guest who sends reliable data without end to one who has stopped")
async def reliable_data(attack):
    room = f"data {attack.rng.random()}"
    sender, receiver = rtc.Room(), rtc.Room()
    await asyncio.wait_for(receiver.connect(attack.url.replace("http", "ws"), await attack.token("Stopped", room)), 20)
    await asyncio.wait_for(sender.connect(attack.url.replace("http", "ws"), await attack.token("Sender", room)), 20)
    end = time.monotonic() + 15
    for _ in range(attack.times(3000)):
        if time.monotonic() > end:
            break
        try:
            await asyncio.wait_for(sender.local_participant.publish_data(os.urandom(14_000), reliable=True), 5)
            attack.note("packets of 14 kB")
        except Exception as error:
            attack.note(f"refused: {type(error).__name__}")
            break
    for one in (sender, receiver):
        try:
            await asyncio.wait_for(one.disconnect(), 3)
        except Exception:
            pass


@attack("REST bodies", "each field of each JSON body too long, too deep, odd; bodies that are none; invented methods and headers")
async def rest_bodies(attack):
    calls = {
        "/token": {"roomName": "Abuse", "participantName": "M"},
        "/recordings/start": {"roomName": "Abuse", "layout": "grid", "audioOnly": False},
        "/recordings/stop": {"roomName": "Abuse"},
        "/livekit/webhook": {"event": "x"},
    }
    timeout = aiohttp.ClientTimeout(15)
    for path, fields in calls.items():
        for _, _, body in attack.some(mutations.bodies(fields)):
            await attack.ask("POST", path, data=body, headers={"Content-Type": "application/json"}, timeout=timeout)
    for number in range(attack.times(300)):
        await attack.ask(f"BREW{number}", "/recordings", timeout=timeout)
        await attack.ask("GET", f"/recordings?q={'x' * 7000}&sort={number}&limit=999999999&cursor=%00", timeout=timeout)
    for name in ("..", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "a" * 6000, "%00", "%ff"):
        for method in ("GET", "DELETE", "HEAD"):
            await attack.ask(method, f"/recordings/{name}", headers={"Range": "bytes=" + ",".join(f"{n}-{n}" for n in range(3000))}, timeout=timeout)


SERVICES = {
    "livekit.RoomService": {
        "CreateRoom": room_proto.CreateRoomRequest,
        "ListRooms": room_proto.ListRoomsRequest,
        "ListParticipants": room_proto.ListParticipantsRequest,
        "GetParticipant": room_proto.RoomParticipantIdentity,
        "RemoveParticipant": room_proto.RoomParticipantIdentity,
        "MutePublishedTrack": room_proto.MuteRoomTrackRequest,
        "UpdateParticipant": room_proto.UpdateParticipantRequest,
        "UpdateSubscriptions": room_proto.UpdateSubscriptionsRequest,
        "UpdateRoomMetadata": room_proto.UpdateRoomMetadataRequest,
        "SendData": room_proto.SendDataRequest,
    },
    "livekit.Egress": {
        "StartRoomCompositeEgress": egress_proto.RoomCompositeEgressRequest,
        "ListEgress": egress_proto.ListEgressRequest,
        "StopEgress": egress_proto.StopEgressRequest,
        "UpdateLayout": egress_proto.UpdateLayoutRequest,
    },
}


@attack("Twirp bodies", "each field of each call of RoomService and Egress too many, too long, odd; without a token, with a guest's, with an app's")
async def twirp_bodies(attack):
    tokens = [None, await attack.token(), attack.admin("another room")]
    timeout = aiohttp.ClientTimeout(15)
    for service, methods in SERVICES.items():
        for method, kind in methods.items():
            for _, _, make in attack.some(mutations.mutations(kind)):
                message = make()
                token = attack.rng.choice(tokens)
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                if attack.rng.random() < 0.5:
                    body, headers["Content-Type"] = message.SerializeToString(), "application/protobuf"
                else:
                    try:
                        body = json_format.MessageToJson(message).encode()
                    except (ValueError, TypeError, json_format.Error):
                        continue
                    headers["Content-Type"] = "application/json"
                await attack.ask("POST", f"/twirp/{service}/{method}", data=body, headers=headers, timeout=timeout)


@attack("unsigned bodies", "Twirp bodies of a megabyte without a token, many at once")
async def unsigned_bodies(attack):
    body = room_proto.ListRoomsRequest(names=["x"] * 300_000).SerializeToString()
    headers = {"Content-Type": "application/protobuf"}
    timeout = aiohttp.ClientTimeout(15)
    for _ in range(attack.times(20)):
        asks = [attack.ask("POST", "/twirp/livekit.RoomService/ListRooms", data=body, headers=headers, timeout=timeout) for _ in range(40)]
        await asyncio.gather(*asks)


@attack("searches", "40 searches and lists at once, over and over")
async def searches(attack):
    timeout = aiohttp.ClientTimeout(20)
    for turn in range(attack.times(20)):
        asks = [attack.ask("GET", f"/recordings?q={attack.rng.randbytes(3).hex()}&limit=1000", timeout=timeout) for _ in range(40)]
        await asyncio.gather(*asks)


@attack("recordings that are begun and ended", "a guest who starts and stops recordings of many rooms without pause")
async def restless_recorder(attack):
    for number in range(attack.times(30)):
        room = f"Restless {number % 7}"
        try:
            async with attack.guest(await attack.token("R", room)):
                await attack.ask("POST", "/recordings/start", json={"roomName": room})
                await attack.ask("POST", "/recordings/stop", json={"roomName": room})
        except Turned:
            attack.note("turned away")


@attack("rooms", "guests of a thousand rooms")
async def rooms(attack):
    for number in range(attack.times(1000)):
        try:
            async with attack.guest(await attack.token("R", f"Room {number} {attack.rng.random()}")):
                attack.note("rooms")
        except (*FAILURES, Exception) as error:
            attack.note(f"refused: {type(error).__name__}")
