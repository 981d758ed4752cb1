"""Has stock `livekit-agents` workers sent into rooms of the real program: by the room, by the API, over a restart of the server. See scripts/agents."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from livekit import api, rtc

KEY, SECRET = "key", "a secret that is long enough to be one"
BINARY = os.environ["REELROOM_BIN"]
WORKER = Path(__file__).with_name("worker.py")


def start(data, port="0"):
    environment = {
        "PATH": os.environ["PATH"],
        "SERVER_PORT": port,
        "UDP_PORT": "0",
        "DATA_DIR": data,
        "LIVEKIT_API_KEY": KEY,
        "LIVEKIT_API_SECRET": SECRET,
    }
    log = open(os.path.join(data, "server.log"), "a")
    program = subprocess.Popen([BINARY], env=environment, cwd=data, stdout=subprocess.PIPE, stderr=log, text=True)
    line = program.stdout.readline()
    assert line.startswith("Reelroom is ready at "), line
    return program, line.split()[-1].rstrip("/")


def worker(url, data, name):
    environment = {**os.environ, "LIVEKIT_URL": url, "LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET}
    log = open(os.path.join(data, f"worker-{name}.log"), "w")
    return subprocess.Popen([sys.executable, str(WORKER), name], env=environment, stdout=log, stderr=log)


async def until(condition, what, seconds=30):
    for _ in range(int(seconds / 0.1)):
        if condition():
            print(f"ok: {what}", flush=True)
            return
        await asyncio.sleep(0.1)
    raise SystemExit(f"not within {seconds} s: {what}")


async def come(url, identity, room):
    grants = api.VideoGrants(room_join=True, room=room)
    token = api.AccessToken(KEY, SECRET).with_identity(identity).with_grants(grants).to_jwt()
    session = rtc.Room()
    session.heard = []
    session.on("data_received", lambda packet: session.heard.append(packet.data))
    await session.connect(url.replace("http", "ws"), token)
    return session


def is_agent(participant):
    return participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


async def story(data):
    program, url = start(data)
    port = url.rsplit(":", 1)[1]
    workers = [worker(url, data, name) for name in ("", "named")]
    log = Path(data, "server.log")
    try:
        await until(lambda: log.read_text().count("a worker of agents is registered") == 2, "both workers register")
        ada = await come(url, "ada", "room")

        def agents():
            return [one for one in ada.remote_participants.values() if is_agent(one)]

        await until(lambda: len(agents()) == 1, "an agent joins the room that opened")
        await ada.local_participant.publish_data(b"ping")
        await until(lambda: b"heard ping" in ada.heard, "it hears and answers")
        async with api.LiveKitAPI(url, KEY, SECRET) as livekit:
            request = api.CreateAgentDispatchRequest(agent_name="named", room="room")
            made = await livekit.agent_dispatch.create_dispatch(request)
            await until(lambda: len(agents()) == 2, "the named one joins by the API")
            before = sorted(one.identity for one in agents())
            program.send_signal(signal.SIGTERM)
            program.wait(timeout=30)
            program, url = start(data, port)
            await until(lambda: log.read_text().count("a worker of agents is registered") == 4, "both workers are back")
            await until(lambda: sorted(one.identity for one in agents()) == before, "the same agents are there after a restart")
            await asyncio.sleep(5)
            assert sorted(one.identity for one in agents()) == before, "no others were sent"
            await livekit.agent_dispatch.delete_dispatch(made.id, "room")
            await until(lambda: len(agents()) == 1, "it leaves as its dispatch is deleted")
        await ada.disconnect()
    finally:
        for process in (*workers, program):
            process.send_signal(signal.SIGINT)
        for process in (*workers, program):
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
    assert " ERROR " not in log.read_text(), log.read_text()


with tempfile.TemporaryDirectory(prefix="reelroom-agents-") as folder:
    asyncio.run(story(folder))
