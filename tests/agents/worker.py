"""A worker as people write it with `livekit-agents`: it says hello into each room that it is sent into, and answers what it hears as data."""

import asyncio
import sys

from livekit import rtc
from livekit.agents import AgentServer, JobContext, JobExecutorType

server = AgentServer(job_executor_type=JobExecutorType.THREAD, load_threshold=float("inf"), num_idle_processes=1, port=0)


@server.rtc_session(agent_name=sys.argv[1] if len(sys.argv) > 1 else "")
async def hello(context: JobContext):
    await context.connect()

    def answer(packet: rtc.DataPacket):
        asyncio.create_task(context.room.local_participant.publish_data(b"heard " + packet.data))

    context.room.on("data_received", answer)
    await context.room.local_participant.publish_data(b"hello")


if __name__ == "__main__":
    asyncio.run(server.run())
