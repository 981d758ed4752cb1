"""A receiver of webhooks that checks every one of them with LiveKit's own verifier."""

import http.server
import json
import threading

import pytest
from livekit import api

from conftest import KEY, SECRET, Reelroom


class Receiver:
    """Listens on a port, a free one where none is said. `events` are the verified webhooks in the order of their arrival."""

    def __init__(self, failures=0, port=0):
        self.events, self.bodies, self.problems = [], [], []
        self.failures = failures
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                self.send_response(receiver.receive(self.headers, body))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def receive(self, headers, body):
        if self.failures > 0:
            self.failures -= 1
            return 503
        try:
            assert headers["content-type"] == "application/webhook+json", headers["content-type"]
            verifier = api.WebhookReceiver(api.TokenVerifier(KEY, SECRET))
            self.events.append(verifier.receive(body, headers["authorization"]))
            self.bodies.append(json.loads(body))
        except Exception as problem:  # A test reads it: a handler's exception is seen by nobody.
            self.problems.append(repr(problem))
        return 200

    def of_room(self, name):
        """The events of a room, and of its egresses."""
        return [event for event in self.events if event.room.name == name]

    def names(self, room):
        return [event.event for event in self.of_room(room)]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        assert not self.problems, self.problems


@pytest.fixture(scope="module")
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="module")
def media(receiver):
    """A media server that tells `receiver` everything."""
    server = Reelroom("media", WEBHOOK_URLS=receiver.url)
    yield server
    server.stop()
