"""A hostile participant: it says by signalling whatever it likes."""

import asyncio

import aiohttp
from livekit.protocol import rtc as proto

CONNECT_S = 10


class Turned(Exception):
    """The server let go of this guest, or did not let it in."""


class Guest:
    """A WebSocket to `/rtc`. What the server says is read and counted, unless `is_deaf`."""

    def __init__(self, session, url, token, is_deaf=False):
        self.session, self.url, self.token, self.is_deaf = session, url, token, is_deaf
        self.socket, self.heard, self.reading = None, [], None

    async def __aenter__(self):
        url = self.url.replace("http", "ws") + "/rtc"
        query = {"access_token": self.token, "auto_subscribe": "0", "protocol": "15"}
        try:
            connecting = self.session.ws_connect(url, params=query, max_msg_size=0, autoping=not self.is_deaf)
            self.socket = await asyncio.wait_for(connecting, CONNECT_S)
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise Turned(str(error)) from None
        if not self.is_deaf:
            self.reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_):
        if self.reading:
            self.reading.cancel()
        try:
            await asyncio.wait_for(self.socket.close(), 2)
        except (asyncio.TimeoutError, OSError, aiohttp.ClientError):
            pass

    async def _read(self):
        async for message in self.socket:
            if message.type == aiohttp.WSMsgType.BINARY:
                said = proto.SignalResponse()
                said.ParseFromString(message.data)
                self.heard.append(said.WhichOneof("message"))

    async def say(self, message):
        await self.send(message.SerializeToString())

    async def send(self, data, is_text=False):
        if self.socket.closed:
            raise Turned("the connection is closed")
        try:
            sending = self.socket.send_str(data) if is_text else self.socket.send_bytes(data)
            await asyncio.wait_for(sending, CONNECT_S)
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise Turned(str(error)) from None
