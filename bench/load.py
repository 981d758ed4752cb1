"""Measures what needs more load than stock clients can make on the machine that is measured: the load tool sends what was encoded
before, so that nearly all the work here is the server's.

    python bench/load.py [--rooms 1,4,8,16]

Composers are stopped (SIGSTOP) while the capture of many rooms is measured: they may lag, capture may not. They run while the
delay of pictures beside them is measured.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.error
from pathlib import Path

from server import Server, cpu_seconds, p95, until_playable

ROOT = Path(__file__).parents[1]
LOAD = os.environ.get("LOAD_BIN", str(ROOT / "target/release/reelroom-load"))


def clip(folder):
    """Ten seconds of moving 720p30 at 1.7 Mbit/s, as a camera of a call sends it."""
    path = Path(folder) / "clip.ivf"
    picture = "testsrc2=size=1280x720:rate=30:duration=10,noise=alls=6:allf=t"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", picture, "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8"]
    command += ["-b:v", "1700k", "-maxrate", "1900k", "-bufsize", "850k", "-g", "3000", "-pix_fmt", "yuv420p", "-f", "ivf", str(path)]
    subprocess.run(command, check=True)
    return path


class Crowd:
    """People from the load tool."""

    def __init__(self, server, path, rooms, *, people=2, subscribe=False, seconds=0.0, core=None):
        command = [LOAD, "--url", server.url.replace("http", "ws"), "--clip", str(path), "--rooms", str(rooms)]
        command += ["--people", str(people), "--seconds", str(seconds)]
        if subscribe:
            command.append("--subscribe")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if core is not None:
            os.sched_setaffinity(self.process.pid, {core})

    def report(self):
        """Sends everybody home, if that has not been done yet."""
        out, _ = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, "the load tool failed: see above"
        return json.loads(out)


def cores_over(pids, seconds):
    """Of each process."""
    before, began = [cpu_seconds(pid) for pid in pids], time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - began
    return [(cpu_seconds(pid) - used) / passed for pid, used in zip(pids, before)]


def idle_over(seconds):
    """Part of the machine that did nothing."""

    def now():
        times = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return times[3] + times[4], sum(times)

    (idle, all_), _ = now(), time.sleep(seconds)
    idle_then, all_then = now()
    return (idle_then - idle) / (all_then - all_)


def freeze(server, number):
    for pid in server.composers():
        os.kill(pid, number)


def record_all(server, rooms):
    """Why the server records no more, if it does not record them all."""
    for room in range(rooms):
        try:
            server.call("/recordings/start", {"roomName": f"load-{room}"})
        except urllib.error.HTTPError as error:
            return json.load(error)["errorMessage"]
        freeze(server, signal.SIGSTOP)
    return None


def gaps(server):
    """What the captures missed, by what they wrote themselves."""
    missed = 0
    for facts in Path(server.data.name).glob("takes/*/events.jsonl"):
        missed += sum('"gap"' in line for line in facts.read_text().splitlines())
    return missed


def capture(path, options):
    """More and more rooms, the server on one core and the load on another, until one of them is full. A number of rooms at which
    packets were missed is asked for once more, for the machine may be shared: it is too many when that happens twice."""
    print(f"{'two-person rooms':<18}{'server':>9}{'recording':>11}{'ratio':>7}{'load tool':>11}{'gaps':>6}   (cores)", flush=True)
    rooms, best, cost = 1, 0, None
    missed_before = False
    while True:
        server = Server()
        os.sched_setaffinity(server.process.pid, {0})
        for task in Path(f"/proc/{server.process.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {0})
        try:
            crowd = Crowd(server, path, rooms, core=1)
            time.sleep(4 + rooms / 8)
            calling, _ = cores_over([server.process.pid, crowd.process.pid], options.seconds)
            refusal = record_all(server, rooms)
            if refusal:
                crowd.report()
                print(f"{rooms:<18}{calling:>9.3f}  refused: {refusal}")
                break
            time.sleep(2)
            freeze(server, signal.SIGSTOP)
            early = gaps(server)
            recording, load = cores_over([server.process.pid, crowd.process.pid], options.seconds)
            missed = gaps(server) - early
            crowd.report()
        finally:
            freeze(server, signal.SIGKILL)
            server.kill()
        print(f"{rooms:<18}{calling:>9.3f}{recording:>11.3f}{recording / calling:>7.2f}{load:>11.3f}{missed:>6}", flush=True)
        if recording > 0.95 or missed and missed_before:
            break
        missed_before = missed > 0
        if missed:
            continue
        best, cost = rooms, recording / rooms
        if load > 0.9:
            print("the load tool's core is full: the server would take more")
            break
        rooms = max(rooms + 1, min(rooms * 2, int(0.93 / cost)))
        if rooms <= best:
            break
    print(f"\ntwo-person recordings captured at once on one core: {best} (a recorded room costs {cost:.4f} core, "
          f"each of its publishers {cost / 2:.4f}; goal 0.02)\n", flush=True)


def delay(path, options):
    """Delay of pictures through the server in two-person calls, with and without composers that fill the rest of the machine."""
    server = Server()
    rooms = os.cpu_count() + 1
    alone, beside, idle = [], [], []
    try:
        for _ in range(options.pairs):
            alone.append(Crowd(server, path, rooms, subscribe=True, seconds=options.seconds).report())
            crowd = Crowd(server, path, rooms, subscribe=True, seconds=options.seconds)
            time.sleep(1)
            for room in range(rooms):
                server.call("/recordings/start", {"roomName": f"load-{room}"})
            time.sleep(2)
            idle.append(idle_over(options.seconds))
            beside.append(crowd.report())
            while server.composers():
                time.sleep(0.1)
    finally:
        server.stop()
    print(f"{'delay of pictures through the server, ms':<44}{'median':>8}{'p95':>8}{'p99':>8}{'most':>8}")
    for what, reports in (("without composers", alone), (f"{rooms} composers beside it", beside)):
        columns = [statistics.median(report["delay_ms"][n] for report in reports) for n in range(4)]
        print(f"{what:<44}" + "".join(f"{value:>8.2f}" for value in columns))
    p99 = [statistics.median(report["delay_ms"][2] for report in reports) for reports in (alone, beside)]
    print(f"{'ratio of the p99':<44}{p99[1] / p99[0]:>8.2f}   ({100 * statistics.median(idle):.0f} % of the machine idle beside them)\n", flush=True)


def playable(path, options):
    """Stop pressed to playable, where nothing but the server and its composer works."""
    server = Server()
    took = []
    try:
        crowd = Crowd(server, path, 1)
        time.sleep(4)
        for _ in range(options.rounds):
            server.call("/recordings/start", {"roomName": "load-0"})
            time.sleep(options.seconds)
            began = time.monotonic()
            name = server.call("/recordings/stop", {"roomName": "load-0"})["recording"]["name"]
            took.append(until_playable(server, name, began))
        crowd.report()
    finally:
        server.stop()
    print(f"stop pressed to playable, {options.seconds:.0f} s of two 720p30 cameras: median {statistics.median(took):.2f} s, "
          f"p95 {p95(took):.2f} s of {len(took)} (goal 2)", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--only", choices=["capture", "delay", "playable"])
    options = parser.parse_args()
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = clip(folder)
        for part in (capture, delay, playable):
            if options.only in (None, part.__name__):
                part(path, options)


if __name__ == "__main__":
    main()
