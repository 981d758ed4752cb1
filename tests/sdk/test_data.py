"""Reliable data: large files arrive whole, and who does not read holds nobody up."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from livekit import rtc

from clients import join, token, until

pytestmark = pytest.mark.asyncio

MEGABYTES = int(os.environ.get("DATA_MEGABYTES", "20"))
CHUNK = 15_000


def receive_files(session, got):
    tasks = set()

    async def read(reader, identity):
        digest, size = hashlib.sha256(), 0
        try:
            async for chunk in reader:
                digest.update(chunk)
                size += len(chunk)
        except Exception as error:
            got.append((identity, size, f"{error}"))
            return
        got.append((identity, size, digest.hexdigest()))

    session.register_byte_stream_handler("files", lambda reader, identity: tasks.add(asyncio.ensure_future(read(reader, identity))))
    return tasks


async def send_file(session, content, **to):
    writer = await session.local_participant.stream_bytes("film.mp4", topic="files", total_size=len(content), **to)
    for at in range(0, len(content), CHUNK):
        await writer.write(content[at : at + CHUNK])
    await writer.aclose()


def memory_mb(media):
    for line in Path(f"/proc/{media.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024


async def test_a_large_file_reaches_everybody_whole(media):
    room = "large"
    ada, bob, carol = await join(media, "ada", room), await join(media, "bob", room), await join(media, "carol", room)
    got, kept = [], []
    for session in (bob, carol):
        kept.append(receive_files(session, got))
    await until(lambda: len(ada.remote_participants) == 2, "both being there")
    content = os.urandom(MEGABYTES * 1_000_000)
    began = time.monotonic()
    await send_file(ada, content)
    await until(lambda: len(got) == 2, "the file", 60 + 4 * MEGABYTES)
    print(f"{MEGABYTES} MB to two in {time.monotonic() - began:.1f} s")
    assert got == [("ada", len(content), hashlib.sha256(content).hexdigest())] * 2
    await asyncio.gather(ada.disconnect(), bob.disconnect(), carol.disconnect())


async def test_who_does_not_read_loses_the_file_and_costs_others_nothing(media):
    room = "stalled"
    ada, bob = await join(media, "ada", room), await join(media, "bob", room)
    got, lossy = [], []
    kept = receive_files(bob, got)
    bob.on("data_received", lambda packet: lossy.append(time.monotonic() - float(packet.data.decode())))
    eve = subprocess.Popen(
        [sys.executable, __file__, media.url, token("eve", room)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert await asyncio.to_thread(eve.stdout.readline) == "joined\n"
    await until(lambda: len(ada.remote_participants) == 2, "both being there")

    async def tick():
        while True:
            await ada.local_participant.publish_data(str(time.monotonic()), reliable=False)
            await asyncio.sleep(0.05)

    ticking = asyncio.create_task(tick())
    content = os.urandom(MEGABYTES * 1_000_000)
    before = memory_mb(media)
    sending = asyncio.create_task(send_file(ada, content))
    await asyncio.sleep(0.2)
    eve.send_signal(signal.SIGSTOP)
    try:
        began, most = time.monotonic(), before
        while not got:
            assert time.monotonic() - began < 60 + 4 * MEGABYTES, "the file does not arrive"
            most = max(most, memory_mb(media))
            await asyncio.sleep(0.05)
        await sending
    finally:
        eve.send_signal(signal.SIGCONT)
    ticking.cancel()
    print(f"{MEGABYTES} MB in {time.monotonic() - began:.1f} s, memory {before:.0f} to {most:.0f} MB, {len(lossy)} lossy, the latest {max(lossy):.2f} s late")
    assert got == [("ada", len(content), hashlib.sha256(content).hexdigest())]
    assert most - before < 40
    assert len(lossy) > 10 * (time.monotonic() - began) * 0.5
    # It reads again, and is told that it has not got all of it.
    said = await asyncio.to_thread(eve.stdout.readline)
    identity, size, how = said.strip().split(" ", 2)
    assert identity == "ada" and int(size) < len(content) and len(how) != 64, said
    assert any("a receiver of data is too slow" in line for line in media.log)
    eve.kill()
    eve.wait()
    await asyncio.gather(ada.disconnect(), bob.disconnect())
    kept.clear()


async def test_who_reads_slowly_gets_the_file_whole(media):
    """A network that stands still most of the time: the receiver's process is stopped, and goes on for longer than it delays a word of what it got."""
    room = "slow"
    ada, bob = await join(media, "ada", room), await join(media, "bob", room)
    got = []
    kept = receive_files(bob, got)
    eve = subprocess.Popen(
        [sys.executable, __file__, media.url, token("eve", room)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert await asyncio.to_thread(eve.stdout.readline) == "joined\n"
    await until(lambda: len(ada.remote_participants) == 2, "both being there")
    # Several times what may wait for it.
    content = os.urandom(MEGABYTES * 500_000)
    began = time.monotonic()
    sending = asyncio.create_task(send_file(ada, content))
    reading = asyncio.create_task(asyncio.to_thread(eve.stdout.readline))
    try:
        while not reading.done():
            assert time.monotonic() - began < 60 + 10 * MEGABYTES, "the file does not arrive"
            eve.send_signal(signal.SIGSTOP)
            await asyncio.sleep(1.5)
            eve.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.4)
    except BaseException:
        # A reader that stays would hold up the thread that waits for its word.
        eve.kill()
        raise
    await sending
    identity, size, how = (await reading).strip().split(" ", 2)
    print(f"{len(content)} bytes to a slow reader in {time.monotonic() - began:.1f} s")
    assert (identity, int(size), how) == ("ada", len(content), hashlib.sha256(content).hexdigest())
    await until(lambda: got, "the file at bob", 30)
    assert got == [("ada", len(content), hashlib.sha256(content).hexdigest())]
    eve.kill()
    eve.wait()
    await asyncio.gather(ada.disconnect(), bob.disconnect())
    kept.clear()


async def stand_still(url, jwt):
    """Another client, which can be stopped."""
    session = rtc.Room()
    got = []
    kept = receive_files(session, got)
    await session.connect(url.replace("http", "ws"), jwt)
    print("joined", flush=True)
    while not got:
        await asyncio.sleep(0.1)
    print(*got[0], flush=True)
    await asyncio.sleep(60)
    kept.clear()


if __name__ == "__main__":
    asyncio.run(stand_still(*sys.argv[1:3]))
