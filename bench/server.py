"""The program under measurement, and what every measurement asks of it."""

import asyncio
import json
import math
import os
import signal
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
BINARY = os.environ.get("REELROOM_BIN", str(ROOT / "target/release/reelroom"))
TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """Processor time of a process, without that of its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


class Server:
    """The program, alone in a folder of its own, with `settings` over those that a bench needs. `fill` puts something into the folder before."""

    def __init__(self, *args, fill=None, **settings):
        self.data = tempfile.TemporaryDirectory(prefix="reelroom-bench-")
        if fill:
            fill(Path(self.data.name))
        environment = {
            "PATH": os.environ["PATH"],
            "SERVER_PORT": "0",
            "UDP_PORT": "0",
            "DATA_DIR": self.data.name,
            "LOG": "warn",
            # The load tool's.
            "LIVEKIT_API_KEY": "devkey",
            "LIVEKIT_API_SECRET": "secret",
            **settings,
        }
        began = time.monotonic()
        self.process = subprocess.Popen(
            [BINARY, *args], env=environment, cwd=self.data.name, stdout=subprocess.PIPE, text=True
        )
        self.url = self.process.stdout.readline().split()[-1]
        self.started_in = time.monotonic() - began

    def call(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=20) as answer:
            return json.load(answer)

    async def acall(self, path, body=None):
        return await asyncio.to_thread(self.call, path, body)

    def cpu(self, pid=None):
        return cpu_seconds(pid or self.process.pid)

    def resident_mb(self, pid=None):
        for line in Path(f"/proc/{pid or self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0

    def composers(self):
        """Its child processes, as soon as they are that: one that is stopped before would keep its parent waiting."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        pids = {int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()}
        return sorted(pid for pid in pids if self.is_composer(pid))

    @staticmethod
    def is_composer(pid):
        try:
            return b"\0compose\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    def stop(self):
        # As a person stops it: by SIGTERM it would leave what it records to the next start.
        self.process.send_signal(signal.SIGINT)
        self.gone()

    def kill(self):
        self.process.kill()
        self.gone()

    def gone(self):
        self.process.wait()
        # Its composers die with it, but may still write for a moment.
        time.sleep(0.3)
        self.data.cleanup()


def until_playable(server, name, began):
    """Seconds until the library calls it complete and has handed over every byte of it."""
    while True:
        listed = server.call("/recordings")["recordings"]
        found = next((recording for recording in listed if recording["name"] == name), None)
        if found and found["status"] == "complete":
            break
        assert not found or found["status"] != "failed", found
        assert time.monotonic() - began < 60, f"not complete after a minute: {found}"
        time.sleep(0.02)
    url = server.url + "/recordings/" + urllib.parse.quote(name, safe="")
    with urllib.request.urlopen(url, timeout=20) as answer:
        data = answer.read()
    passed = time.monotonic() - began
    assert len(data) == found["size"], f"{len(data)} bytes of {found['size']}"
    check_plays(data)
    return passed


def check_plays(data):
    """A player that nobody here wrote finds a picture and sound in it."""
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        file.write(data)
        file.flush()
        command = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_type:format=duration", "-of", "json", file.name]
        seen = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert {stream["codec_type"] for stream in seen["streams"]} == {"video", "audio"}, seen
    assert float(seen["format"]["duration"]) > 1, seen


def show(figures):
    print(f"{'figure':<58}{'measured':>10}{'goal':>8}{'of goal':>9}")
    for what, (value, goal) in figures.items():
        against = f"{goal:>8}{value / goal:>9.2f}" if goal else ""
        print(f"{what:<58}{value:>10.3f}{against}{'  falls short' if goal and value > goal else ''}")


def p95(values):
    return sorted(values)[max(0, math.ceil(len(values) * 0.95) - 1)]
