"""A worker of agents over LiveKit's own protobuf classes, as `livekit-agents` does it, whose agents are PyPI `livekit`.

`livekit-agents` itself needs another version of `livekit`: `scripts/agents` runs it, in an environment of its own.
"""

import asyncio
import contextlib

import aiohttp
import pytest
from livekit import api, rtc
from livekit.protocol import agent, agent_dispatch, models

from clients import Camera, join, until
from conftest import KEY, SECRET

pytestmark = pytest.mark.asyncio


class Worker:
    """Takes each job, and joins with a client of its own."""

    def __init__(self, media, agent_name="", kind=agent.JobType.JT_ROOM):
        self.media, self.agent_name, self.kind = media, agent_name, kind
        self.agents, self.jobs, self.ended = {}, {}, []

    async def __aenter__(self):
        self.session = aiohttp.ClientSession()
        bearer = api.AccessToken(KEY, SECRET).with_grants(api.VideoGrants(agent=True)).to_jwt()
        headers = {"Authorization": f"Bearer {bearer}"}
        self.socket = await self.session.ws_connect(self.media.url.replace("http", "ws") + "/agent", headers=headers)
        message = agent.WorkerMessage()
        message.register.type = self.kind
        message.register.agent_name = self.agent_name
        message.register.version = "1.8.9"
        may = models.ParticipantPermission(can_publish=True, can_subscribe=True, can_publish_data=True, agent=True)
        message.register.allowed_permissions.CopyFrom(may)
        await self.socket.send_bytes(message.SerializeToString())
        told = agent.ServerMessage.FromString(await self.socket.receive_bytes())
        assert told.register.worker_id.startswith("AW_") and told.register.server_info.version
        self.listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_):
        self.listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.listening
        for session in self.agents.values():
            await session.disconnect()
        await self.socket.close()
        await self.session.close()

    async def _listen(self):
        async for message in self.socket:
            told = agent.ServerMessage.FromString(message.data)
            match told.WhichOneof("message"):
                case "availability":
                    job = told.availability.job
                    self.jobs[job.id] = job
                    answer = agent.WorkerMessage()
                    answer.availability.job_id = job.id
                    answer.availability.available = True
                    answer.availability.participant_identity = f"agent-{job.id}"
                    answer.availability.participant_name = "Helper"
                    await self.socket.send_bytes(answer.SerializeToString())
                case "assignment":
                    session = rtc.Room()
                    await session.connect(self.media.url.replace("http", "ws"), told.assignment.token)
                    self.agents[told.assignment.job.id] = session
                    await self.tells(told.assignment.job.id, agent.JobStatus.JS_RUNNING)
                case "termination":
                    self.ended.append(told.termination.job_id)
                    if session := self.agents.pop(told.termination.job_id, None):
                        await session.disconnect()

    async def tells(self, job, status):
        message = agent.WorkerMessage()
        message.update_job.job_id = job
        message.update_job.status = status
        await self.socket.send_bytes(message.SerializeToString())


async def test_an_agent_comes_as_a_room_opens_hears_and_speaks(media):
    async with Worker(media) as worker:
        ada = await join(media, "ada", "with-agent")
        await until(lambda: len(worker.agents) == 1, "an agent")
        await until(lambda: len(ada.remote_participants) == 1, "that she sees it")
        (helper,) = ada.remote_participants.values()
        assert helper.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT and helper.name == "Helper"
        assert helper.attributes["lk.agent_name"] == ""
        (session,) = worker.agents.values()
        heard = []
        session.on("track_subscribed", lambda track, *_: heard.append(track.kind))
        camera = Camera((200, 30, 30, 255), 440)
        await camera.publish(ada)
        await until(lambda: rtc.TrackKind.KIND_AUDIO in heard, "that it hears her")
        said = []
        ada.on("data_received", lambda packet: said.append(packet.data))
        await session.local_participant.publish_data(b"hello")
        await until(lambda: said == [b"hello"], "that she hears it")
        camera.stop()
        # An agent holds no room open, and is told of its end.
        await ada.disconnect()
        async with api.LiveKitAPI(media.url, KEY, SECRET) as livekit:
            await livekit.room.delete_room(api.DeleteRoomRequest(room="with-agent"))
        await until(lambda: worker.ended == list(worker.jobs), "that the job is ended")


async def test_each_publisher_has_an_agent_once(media):
    async with Worker(media, kind=agent.JobType.JT_PUBLISHER) as worker:
        ada = await join(media, "ada", "publishers")
        bob = await join(media, "bob", "publishers")
        camera = Camera((30, 200, 30, 255), 330)
        await camera.publish(ada)
        await until(lambda: len(worker.agents) == 1, "an agent for her")
        (job,) = worker.jobs.values()
        assert job.participant.identity == "ada" and job.type == agent.JobType.JT_PUBLISHER
        await asyncio.sleep(1)
        assert len(worker.jobs) == 1, "one for both of her tracks"
        camera.stop()
        for session in (ada, bob):
            await session.disconnect()


async def test_a_dispatch_by_the_api_is_listed_and_ends(media):
    async with Worker(media, "by-name") as worker, api.LiveKitAPI(media.url, KEY, SECRET) as livekit:
        dispatch = livekit.agent_dispatch
        request = agent_dispatch.CreateAgentDispatchRequest(agent_name="by-name", room="named", metadata="{}")
        made = await dispatch.create_dispatch(request)
        await until(lambda: len(worker.agents) == 1, "its agent")
        (job,) = worker.jobs.values()
        assert (job.dispatch_id, job.metadata, job.agent_name) == (made.id, "{}", "by-name")
        listed = [one for one in await dispatch.list_dispatch("named") if one.id == made.id]
        state = listed[0].state.jobs[0].state
        assert (state.status, state.participant_identity) == (agent.JobStatus.JS_RUNNING, f"agent-{job.id}")
        await dispatch.delete_dispatch(made.id, "named")
        await until(lambda: worker.ended == [job.id] and not worker.agents, "its end")
        assert made.id not in [one.id for one in await dispatch.list_dispatch("named")]
        with pytest.raises(api.ServerError) as refused:
            await dispatch.delete_dispatch(made.id, "named")
        assert (refused.value.status, refused.value.code) == (404, "not_found")


async def test_a_token_that_makes_nobody_a_worker_is_refused(media):
    grants = api.VideoGrants(room_join=True, room="a", room_admin=True)
    bearer = api.AccessToken(KEY, SECRET).with_identity("ada").with_grants(grants).to_jwt()
    async with aiohttp.ClientSession() as session:
        for headers in ({}, {"Authorization": f"Bearer {bearer}"}, {"Authorization": bearer}):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(media.url.replace("http", "ws") + "/agent", headers=headers)
            assert refused.value.status == 401
