"""What two versions of the program take for the same calls: versus.py BEFORE AFTER [--rooms 8] [--seconds 20] [--rounds 6]

Both run side by side on one core, each with as many two-person calls on the other one, so whatever else the machine does happens to
both of them. Who starts first changes from round to round."""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import server
from load import Crowd, clip, cores_over


def start(binary):
    server.BINARY = binary
    started = server.Server()
    for task in Path(f"/proc/{started.process.pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {0})
    return started


def round_of(binaries, path, options):
    """Cores that each takes."""
    servers = {name: start(binary) for name, binary in binaries}
    try:
        crowds = [Crowd(one, path, options.rooms, core=1) for one in servers.values()]
        time.sleep(4 + options.rooms / 4)
        taken = cores_over([one.process.pid for one in servers.values()], options.seconds)
        for crowd in crowds:
            crowd.report()
    finally:
        for one in servers.values():
            one.kill()
    return dict(zip(servers, taken))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--rooms", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    binaries = [("before", options.before), ("after", options.after)]
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        path = clip(folder)
        print(f"{options.rooms} two-person rooms\n   before    after   ratio   (cores)", flush=True)
        for number in range(options.rounds):
            taken = round_of(binaries if number % 2 == 0 else binaries[::-1], path, options)
            ratios.append(taken["after"] / taken["before"])
            print(f"{taken['before']:9.3f}{taken['after']:9.3f}{ratios[-1]:8.3f}", flush=True)
    print(f"ratio: median {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}")


main()
