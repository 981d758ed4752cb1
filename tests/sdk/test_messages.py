"""What LiveKit's clients build on data packets: RPC, text and byte streams, and their own name and attributes."""

import asyncio
import os

import pytest
from livekit import rtc

from clients import join, until

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
