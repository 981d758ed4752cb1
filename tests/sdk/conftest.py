"""Starts the real program for each test module and fails a test when the program logs an error."""

import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

BINARY = os.environ.get("REELROOM_BIN", str(Path(__file__).parents[2] / "target/debug/reelroom"))
KEY, SECRET = "devkey", "secret"


class Reelroom:
    """A running program. `url` is its HTTP address, `lines` what else it prints."""

    def __init__(self, *args, **settings):
        self.data = tempfile.TemporaryDirectory(prefix="reelroom-")
        environment = {
            "PATH": os.environ["PATH"],
            "SERVER_PORT": "0",
            "UDP_PORT": "0",
            "DATA_DIR": self.data.name,
            "LIVEKIT_API_KEY": KEY,
            "LIVEKIT_API_SECRET": SECRET,
            "LOG": os.environ.get("LOG", "info"),
            **settings,
        }
        self.process = subprocess.Popen(
            [BINARY, *args],
            env=environment,
            cwd=self.data.name,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log = []
        threading.Thread(target=self._collect, daemon=True).start()
        self.lines = queue.Queue()
        threading.Thread(target=lambda: [self.lines.put(line) for line in self.process.stdout], daemon=True).start()
        line = self.lines.get(timeout=20)
        assert line.startswith("Reelroom is ready at "), line
        self.url = line.split()[-1]

    def _collect(self):
        for line in self.process.stderr:
            self.log.append(line)

    def errors(self):
        return [line for line in self.log if " ERROR " in line or "panicked" in line]

    def stop(self):
        # As a person stops it: by SIGTERM it would leave what it records to the next start.
        self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(timeout=15)
        finally:
            self.process.kill()
            self.data.cleanup()
        time.sleep(0.05)
        assert not self.errors(), "".join(self.errors())
        assert code == 0, f"the program ended with {code}:\n{''.join(self.log[-30:])}"


@pytest.fixture(scope="module")
def media():
    server = Reelroom("media")
    yield server
    server.stop()
