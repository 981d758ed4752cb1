"""What LiveKit's clients build on data packets: RPC, text and byte streams, and their own name and attributes."""

import asyncio
import os

import pytest
from livekit import rtc

from clients import join, token, until

pytestmark = pytest.mark.asyncio


async def test_one_participant_calls_a_procedure_of_another(media):
    ada, bob = await join(media, "ada", "rpc"), await join(media, "bob", "rpc")

    async def reverse(call: rtc.RpcInvocationData):
        assert call.caller_identity == "ada"
        return call.payload[::-1]

    bob.local_participant.register_rpc_method("reverse", reverse)
    await until(lambda: "bob" in ada.remote_participants, "bob being there")
    call = ada.local_participant.perform_rpc(destination_identity="bob", method="reverse", payload="abc")
    assert await asyncio.wait_for(call, timeout=15) == "cba"
    with pytest.raises(rtc.RpcError) as refused:
        await ada.local_participant.perform_rpc(destination_identity="bob", method="none", payload="")
    assert refused.value.code == rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD
    await asyncio.gather(ada.disconnect(), bob.disconnect())


async def test_streams_arrive_whole(media):
    ada, bob = await join(media, "ada", "streams"), await join(media, "bob", "streams")
    got = {}
    tasks = set()

    def keep(task):
        tasks.add(asyncio.ensure_future(task))

    async def text(reader, identity):
        got["text"] = (identity, await reader.read_all())

    async def file(reader, identity):
        got["bytes"] = (identity, b"".join([chunk async for chunk in reader]))

    bob.register_text_stream_handler("notes", lambda reader, identity: keep(text(reader, identity)))
    bob.register_byte_stream_handler("files", lambda reader, identity: keep(file(reader, identity)))
    await until(lambda: "bob" in ada.remote_participants, "bob being there")
    words = "Grüße an alle. " * 4000
    await ada.local_participant.send_text(words, topic="notes")
    await until(lambda: "text" in got, "the text")
    assert got["text"] == ("ada", words)
    content = os.urandom(1_000_000)
    writer = await ada.local_participant.stream_bytes("photo.jpg", topic="files", total_size=len(content))
    for at in range(0, len(content), 15_000):
        await writer.write(content[at : at + 15_000])
    await writer.aclose()
    await until(lambda: "bytes" in got, "the file", 30)
    assert got["bytes"] == ("ada", content)
    await asyncio.gather(ada.disconnect(), bob.disconnect())


async def test_participants_change_their_own_name_and_attributes_where_they_may(media):
    ada = await join(media, "ada", "names", can_update_own_metadata=True)
    bob = await join(media, "bob", "names")
    await until(lambda: "ada" in bob.remote_participants, "ada being there")
    seen = bob.remote_participants["ada"]
    await ada.local_participant.set_name("Countess")
    await ada.local_participant.set_metadata("programs")
    await ada.local_participant.set_attributes({"hand": "raised"})
    await until(lambda: seen.name == "Countess", "the name")
    await until(lambda: seen.metadata == "programs", "the metadata")
    await until(lambda: seen.attributes.get("hand") == "raised", "the attribute")
    await asyncio.wait_for(bob.local_participant.set_name("Ada"), timeout=10)
    await ada.local_participant.set_metadata("after bob tried")
    await until(lambda: seen.metadata == "after bob tried", "the metadata")
    assert ada.remote_participants["bob"].name == bob.local_participant.name == "Bob"
    await asyncio.gather(ada.disconnect(), bob.disconnect())


async def test_whoever_is_greeted_as_they_are_announced_gets_the_greeting(media):
    ada = await join(media, "ada", "greetings")
    packets, texts, tasks = [], [], set()

    async def greet(identity):
        to = {"destination_identities": [identity]}
        await ada.local_participant.publish_data(f"hello {identity}", topic="greeting", **to)
        await ada.local_participant.send_text(f"welcome {identity}", topic="notes", **to)

    ada.on("participant_connected", lambda guest: tasks.add(asyncio.ensure_future(greet(guest.identity))))

    async def read(reader, identity):
        texts.append((identity, await reader.read_all()))

    guests = []
    for index in range(8):
        guest = rtc.Room()
        guest.on("data_received", lambda packet: packets.append(packet.data.decode()))
        guest.register_text_stream_handler("notes", lambda reader, identity: tasks.add(asyncio.ensure_future(read(reader, identity))))
        await guest.connect(media.url.replace("http", "ws"), token(f"guest{index}", "greetings"))
        guests.append(guest)
    await until(lambda: len(packets) == 8 and len(texts) == 8, "the greetings of all")
    assert sorted(packets) == [f"hello guest{index}" for index in range(8)]
    assert sorted(texts) == [("ada", f"welcome guest{index}") for index in range(8)]
    await asyncio.gather(ada.disconnect(), *(guest.disconnect() for guest in guests))


async def test_a_procedure_of_a_newcomer_is_called_as_it_is_announced(media):
    ada = await join(media, "ada", "calls")
    answers, tasks = [], set()

    async def call(identity):
        try:
            answers.append(
                await ada.local_participant.perform_rpc(
                    destination_identity=identity, method="name", payload="x" * 14_000, response_timeout=10
                )
            )
        except rtc.RpcError as error:
            # It came before the newcomer's program had said that it has such a procedure, which is the program's own business.
            assert error.code == rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD, error
            answers.append(identity)

    ada.on("participant_connected", lambda guest: tasks.add(asyncio.ensure_future(call(guest.identity))))
    guests = []
    for index in range(6):
        guest = await join(media, f"guest{index}", "calls")

        async def name(data: rtc.RpcInvocationData, identity=f"guest{index}"):
            assert len(data.payload) == 14_000
            return identity

        guest.local_participant.register_rpc_method("name", name)
        guests.append(guest)
    await until(lambda: len(answers) == 6, "the answers of all")
    assert sorted(answers) == [f"guest{index}" for index in range(6)]
    await asyncio.gather(ada.disconnect(), *(guest.disconnect() for guest in guests))


async def test_data_reaches_whoever_may_not_subscribe(media):
    ada = await join(media, "ada", "deaf")
    bob = rtc.Room()
    got = []
    bob.on("data_received", lambda packet: got.append(packet.data.decode()))
    await bob.connect(media.url.replace("http", "ws"), token("bob", "deaf", can_subscribe=False))
    await until(lambda: "bob" in ada.remote_participants, "bob being there")
    await ada.local_participant.publish_data("reliable")
    await until(lambda: got == ["reliable"], "the reliable packet")
    for _ in range(20):
        await ada.local_participant.publish_data("lossy", reliable=False)
        await asyncio.sleep(0.05)
    await until(lambda: "lossy" in got, "a lossy packet")
    await asyncio.gather(ada.disconnect(), bob.disconnect())


async def test_frames_of_a_data_track_reach_whoever_subscribes(media):
    ada, bob = await join(media, "ada", "tracks"), await join(media, "bob", "tracks")
    seen = []
    bob.on("data_track_published", seen.append)
    track = await ada.local_participant.publish_data_track(name="position")
    await until(lambda: seen, "the track being announced")
    assert seen[0].info.name == "position" and seen[0].info.sid.startswith("DTR_")
    frames = []

    async def read(remote):
        async for frame in remote.subscribe():
            frames.append(bytes(frame.payload))

    reading = asyncio.create_task(read(seen[0]))
    for number in range(200):
        track.try_push(rtc.DataTrackFrame(payload=number.to_bytes(2, "big") * 1500))
        await asyncio.sleep(0.02)
        if len(frames) > 20:
            break
    assert len(frames) > 20 and all(len(frame) == 3000 for frame in frames)
    # Whoever comes later hears of it.
    later = []
    carol = rtc.Room()
    carol.on("data_track_published", later.append)
    await carol.connect(media.url.replace("http", "ws"), token("carol", "tracks"))
    await until(lambda: later, "the track being known to whoever comes later")
    gone = []
    bob.on("data_track_unpublished", gone.append)
    await track.unpublish()
    await until(lambda: gone, "the end of the track")
    reading.cancel()
    await asyncio.gather(ada.disconnect(), bob.disconnect(), carol.disconnect())
