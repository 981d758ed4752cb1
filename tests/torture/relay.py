"""A network between two network namespaces whose delay can be told to change: no kernel needs to know how to delay.

    python tests/torture/relay.py --udp PORT... --tcp PORT...

```text
 namespace of the client                             │ namespace of the server
 client ──► 127.0.0.1:PORT  relay ── delay line ──►  │ ──► 127.0.0.1:PORT  server
        ◄──                       ◄────────────────  │ ◄──
```

It makes the client's namespace, in which the ports of `127.0.0.1` are the relay's: a client in there needs no other address than one
outside. It prints the path of the namespace (for `nsenter --net=PATH`), and reads lines from standard input until it ends:

    SECONDS HOW     datagrams towards the server take so long from now on; `HOW` says what becomes of those under way when it falls:
                    `queue`: nobody overtakes, they come in one burst; `overtake`: later ones come first; `slide`: it gets there
                    within two seconds
    move            every client is seen at another port from now on, and what is sent to the one before is lost: as behind a NAT whose
                    mapping changed

Where the machine itself holds the relay up it prints `late FROM TO`, in seconds of the monotonic clock. Only datagrams are delayed. As a module it is what tests work with: [`Relay`].
"""

import argparse
import ctypes
import heapq
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

CLONE_NEWNET = 0x40000000
HOME = "127.0.0.1"
# An interface that is no loopback: clients look for one before they look for a server.
ADDRESS = "10.99.0.2/24"
SLIDE_S = 2.0
BUFFER_BYTES = 4 << 20
READY_S = 15
# It looks at the time so often, and says when it could not for so long.
TURN_S = 0.02
LATE_S = 0.12


class Relay:
    """The relay as a process; `within` goes before a client's command."""

    def __init__(self, udp=(), tcp=()):
        command = [sys.executable, str(Path(__file__)), "--udp", *map(str, udp), "--tcp", *map(str, tcp)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        path = self.process.stdout.readline().strip()
        assert path, "the relay does not start"
        self.within = ("nsenter", f"--net={path}")
        # When the machine held it up, by the monotonic clock.
        self.lates = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stdout:
            self.lates.append(tuple(map(float, line.split()[1:])))

    def lates_since(self, began):
        return [(start - began, stop - began) for start, stop in self.lates if stop > began]

    def delay(self, seconds, how="queue"):
        self.process.stdin.write(f"{seconds} {how}\n")
        self.process.stdin.flush()

    def move(self):
        self.process.stdin.write("move\n")
        self.process.stdin.flush()

    def end(self):
        self.process.kill()
        self.process.wait()


def is_possible():
    """Whether this machine gives us a namespace with an interface."""
    try:
        relay = Relay()
    except (AssertionError, OSError):
        return False
    relay.end()
    return True


class Delay:
    """How long a datagram takes."""

    def __init__(self):
        self.from_s = self.to_s = self.began = self.slide_s = 0.0
        self.how = "queue"
        # When the latest one so far arrives.
        self.latest = 0.0

    def change(self, seconds, how):
        now = time.monotonic()
        self.from_s, self.to_s, self.began = self.at(now), seconds, now
        self.how, self.slide_s = how, SLIDE_S if how == "slide" else 0.0

    def at(self, now):
        if self.slide_s <= now - self.began:
            return self.to_s
        return self.from_s + (self.to_s - self.from_s) * (now - self.began) / self.slide_s

    def due(self, now):
        due = now + self.at(now)
        if self.how != "overtake":
            due = self.latest = max(due, self.latest)
        return due


class Line:
    """Datagrams of all clients, under way."""

    def __init__(self, listeners):
        self.selector = selectors.DefaultSelector()
        self.delay = Delay()
        self.outer = {}
        self.under_way, self.number = [], 0
        for listener in listeners:
            self.selector.register(listener, selectors.EVENT_READ, lambda listener=listener: self.from_client(listener))

    def from_client(self, listener):
        data, client = listener.recvfrom(65536)
        server = self.outer.get((listener, client)) or self.open(listener, client)
        self.number += 1
        heapq.heappush(self.under_way, (self.delay.due(time.monotonic()), self.number, server, data))

    def open(self, listener, client):
        """A socket in the server's namespace for each client, so that the server can tell them apart."""
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.connect((HOME, listener.getsockname()[1]))
        self.outer[listener, client] = server
        self.selector.register(server, selectors.EVENT_READ, lambda: self.from_server(server, listener, client))
        return server

    def move(self):
        for (listener, client), server in list(self.outer.items()):
            self.selector.unregister(server)
            # The new one is open before the old one's port is free again.
            self.open(listener, client)
            server.close()

    def from_server(self, server, listener, client):
        try:
            listener.sendto(server.recv(65536), client)
        except ConnectionRefusedError:
            pass

    def run(self):
        last = time.monotonic()
        while True:
            timeout = max(0.0, self.under_way[0][0] - time.monotonic()) if self.under_way else TURN_S
            for key, _ in self.selector.select(min(timeout, TURN_S)):
                key.data()
            while self.under_way and self.under_way[0][0] <= time.monotonic():
                _, _, server, data = heapq.heappop(self.under_way)
                try:
                    server.send(data)
                except OSError:  # Its server is away.
                    pass
            now = time.monotonic()
            if now - last > LATE_S:
                print(f"late {last} {now}", flush=True)
            last = now

    def listen_to(self, file):
        """Commands come in the line's own turn."""

        def read():
            line = file.readline()
            if not line:
                os._exit(0)
            if line.strip() == b"move":
                self.move()
                return
            seconds, how = line.split()
            self.delay.change(float(seconds), how)

        self.selector.register(file, selectors.EVENT_READ, read)


def make_namespace(options, made):
    """In a thread of its own, which from then on is elsewhere; the sockets it opened can be used by all."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        sys.exit(f"no network namespace: {os.strerror(ctypes.get_errno())}")
    for arguments in ("link set lo up", "link add away type veth peer name home", f"addr add {ADDRESS} dev away", "link set away up", "link set home up"):
        subprocess.run(["ip", *arguments.split()], check=True, stdout=subprocess.DEVNULL)
    made["udp"] = [bound(socket.SOCK_DGRAM, port) for port in options.udp]
    made["tcp"] = [bound(socket.SOCK_STREAM, port) for port in options.tcp]
    made["path"] = f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net"
    made["event"].set()
    threading.Event().wait()


def bound(kind, port):
    listener = socket.socket(socket.AF_INET, kind)
    if kind == socket.SOCK_STREAM:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    listener.bind((HOME, port))
    if kind == socket.SOCK_STREAM:
        listener.listen()
    return listener


def accept(listener):
    while True:
        near, _ = listener.accept()
        try:
            far = socket.create_connection((HOME, listener.getsockname()[1]))
        except OSError:
            near.close()
            continue
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=copy, args=(one, other), daemon=True).start()


def copy(one, other):
    try:
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (one, other):
            end.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--udp", type=int, nargs="*", default=[])
    parser.add_argument("--tcp", type=int, nargs="*", default=[])
    options = parser.parse_args()
    made = {"event": threading.Event()}
    threading.Thread(target=make_namespace, args=(options, made), daemon=True).start()
    if not made["event"].wait(READY_S):
        os._exit(1)
    for listener in made["tcp"]:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
    line = Line(made["udp"])
    line.listen_to(open(sys.stdin.fileno(), "rb", buffering=0))
    print(made["path"], flush=True)
    line.run()


if __name__ == "__main__":
    main()
