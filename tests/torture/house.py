"""The program with its data folder, which outlives it, and its store: a folder, or an S3 server that fails on demand."""

import asyncio
import base64
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]
BINARY = os.environ.get("REELROOM_BIN", str(ROOT / "target/debug/reelroom"))
S3_BINARY = os.environ.get("S3_BIN", str(Path(BINARY).parent / "examples/s3"))
READY_S = 30
# What may stand in a data folder while nothing is being recorded.
BELONGS = [
    r"lock",
    r"index\.db(-wal|-shm)?",
    r"truth\.db(-wal|-shm)?",
    r"secrets\.json",
    r"gstreamer-registry\.bin",
    r"takes|composed|kept|egress|recordings|store",
    r"egress/EG_\w+\.json",
    r"recordings/[^#]+\.mp4(\.json)?",
]
# The S3 server's own.
S3_OWN = r"\.bucket-.*\.json"


class Refused(Exception):
    """An answer that is none of success."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body

    def message(self):
        try:
            return json.loads(self.body)["errorMessage"]
        except (ValueError, KeyError, TypeError):
            return ""


class Store:
    """The S3 server, as a process of its own; its folder is the bucket."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.process = subprocess.Popen([S3_BINARY, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.settings = {}
        for line in self.process.stdout:
            if not line.strip():
                break
            name, value = line.strip().split("=", 1)
            self.settings[name] = value
        self.endpoint = self.settings["S3_ENDPOINT"]
        self.bucket = folder / self.settings["S3_BUCKET"]

    def fault(self, kind, **options):
        body = json.dumps({"kind": kind, **options}).encode()
        request = urllib.request.Request(self.endpoint + "/_fault", body, method="PUT")
        urllib.request.urlopen(request, timeout=10).read()

    def struck(self):
        with urllib.request.urlopen(self.endpoint + "/_fault", timeout=10) as answer:
            return json.load(answer)["struck"]

    def leftovers(self):
        left = []
        for path in self.folder.iterdir():
            if path != self.bucket and not re.fullmatch(S3_OWN, path.name):
                left.append(path.name)
        objects = {str(path.relative_to(self.bucket)) for path in self.bucket.rglob("*") if path.is_file()}
        for name in objects:
            partner = name[: -len(".json")] if name.endswith(".mp4.json") else name + ".json"
            if not re.fullmatch(r"recordings/[^#]+\.mp4(\.json)?", name) or partner not in objects:
                left.append(name)
        return left

    def end(self):
        self.process.kill()
        self.process.wait()


class House:
    """A data folder over all its rounds, and the program in it, as often as it is started."""

    def __init__(self, name, folder, store=None, data=None, **settings):
        self.name, self.folder, self.store = name, folder, store
        folder.mkdir(exist_ok=True)
        self.data = data or folder / "data"
        self.data.mkdir(exist_ok=True)
        self.log_file = folder / "log"
        self.settings = {**(store.settings if store else {}), **settings}
        self.process, self.url, self.starts = None, None, 0

    def spawn(self):
        """Starts the program, without waiting for it."""
        environment = {
            "PATH": os.environ["PATH"],
            "SERVER_PORT": "0",
            "UDP_PORT": "0",
            "DATA_DIR": str(self.data),
            "LOG": os.environ.get("LOG", "info"),
            **self.settings,
        }
        self.starts += 1
        with open(self.log_file, "a") as log:
            log.write(f"--- start {self.starts}\n")
            log.flush()
            self.process = subprocess.Popen(
                [BINARY], env=environment, cwd=self.folder, stdout=subprocess.PIPE, stderr=log, text=True
            )

    async def until_ready(self):
        lines = queue.Queue()
        process = self.process
        threading.Thread(target=lambda: lines.put(process.stdout.readline()), daemon=True).start()
        line = await asyncio.to_thread(lines.get, True, READY_S)
        assert line.startswith("Reelroom is ready at "), f"it does not start: {line!r}\n{self.log_tail(15)}"
        self.url = line.split()[-1]

    async def start(self):
        self.spawn()
        await self.until_ready()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def signal(self, what):
        self.process.send_signal(what)

    async def stop(self):
        """As a person stops it."""
        await self.end_by(signal.SIGINT)

    async def hand_over(self):
        """As whoever starts it anew ends it."""
        await self.end_by(signal.SIGTERM)

    async def end_by(self, what):
        self.process.send_signal(what)
        code = await asyncio.to_thread(self.process.wait, 30)
        assert code == 0, f"the program ended with {code}\n{self.log_tail(15)}"

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def call(self, path, body=None, method=None, timeout=20):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read().decode(errors="replace")) from None

    async def acall(self, *args, **options):
        return await asyncio.to_thread(self.call, *args, **options)

    async def ahead_s(self):
        """How far the program's clock is ahead of the machine's: its tokens tell."""
        token = (await self.acall("/token", {"roomName": "-", "participantName": "Clock"}))["token"]
        claims = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        return claims["nbf"] - time.time()

    async def recordings(self, **filters):
        """All that are listed, in the list's order."""
        found, cursor = [], None
        while True:
            query = {"limit": 100, **filters, **({"cursor": cursor} if cursor else {})}
            page = await self.acall("/recordings?" + urllib.parse.urlencode(query))
            found += page["recordings"]
            cursor = page.get("nextCursor")
            if not cursor:
                return found

    async def download(self, name, to):
        url = f"{self.url}/recordings/{urllib.parse.quote(name, safe='')}"

        def fetch():
            with urllib.request.urlopen(url, timeout=30) as answer, open(to, "wb") as out:
                said = int(answer.headers["content-length"])
                shutil.copyfileobj(answer, out)
            assert os.path.getsize(to) == said, f"{os.path.getsize(to)} of {said} bytes came"

        await asyncio.to_thread(fetch)

    def composers(self):
        """Processes that compose out of this data folder: whoever their parent is."""
        found = []
        for process in Path("/proc").iterdir():
            if not process.name.isdigit():
                continue
            try:
                arguments = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"compose" in arguments[:3] and any(str(self.data).encode() in argument for argument in arguments):
                found.append(int(process.name))
        return found

    def kill_composers(self):
        composers = self.composers()
        for pid in composers:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return len(composers)

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def ports(self):
        """Of media and of HTTP, as long as it is not started again."""
        media = re.findall(r"media is received port=(\d+)", self.log())
        return int(media[-1]), urllib.parse.urlsplit(self.url).port

    def log_tail(self, lines):
        return "".join(self.log().splitlines(keepends=True)[-lines:])

    def errors(self):
        return [line for line in self.log().splitlines() if " ERROR " in line or "panicked" in line]

    def leftovers(self):
        """Files in the data folder and the bucket that belong to nothing."""
        left = [] if self.store is None else self.store.leftovers()
        for path in sorted(self.data.rglob("*")):
            name = str(path.relative_to(self.data))
            if not any(re.fullmatch(pattern, name) for pattern in BELONGS) and not self.is_kept(name):
                left.append(name + ("/" if path.is_dir() else ""))
        return left

    def is_kept(self, name):
        return "KEEP_TAKES_DAYS" in self.settings and name.startswith("kept/EG_")

    async def rebuild_index(self):
        """The index is only one: it may be deleted."""
        await self.stop()
        for path in self.data.glob("index.db*"):
            path.unlink()
        await self.start()
