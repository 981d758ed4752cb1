"""Starts the service as its unit says where no systemd runs, and writes down what it tells: in the namespaces of a process, under the unit's user, with
its rights, limits and environment. What only systemd can do (what is closed by mounts and filters) is left out.

    manager.py PID UNIT LOG
"""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

SOCKET = "run/reelroom-test-notify"
PATHS = {"%S": "/var/lib", "%C": "/var/cache"}


def settings(unit):
    """Of the unit's [Service] the last value of each key, and all of its Environment."""
    values, environment = {}, []
    for line in Path(unit).read_text().splitlines():
        key, is_set, value = line.partition("=")
        if not is_set or line.startswith("#"):
            continue
        for name, path in PATHS.items():
            value = value.replace(name, path)
        if key == "Environment":
            environment.append(value)
        values[key] = value
    return values, environment


def main():
    pid, unit, log = sys.argv[1:]
    unit, environment = settings(unit)
    root = Path(f"/proc/{pid}/root")
    user = unit["User"]
    enter = ["nsenter", "--target", pid, "--all", "--root", "--wd"]
    for folder, above in (("StateDirectory", "/var/lib"), ("CacheDirectory", "/var/cache")):
        mode = unit[f"{folder}Mode"]
        subprocess.run([*enter, "install", "-d", "-m", mode, "-o", user, "-g", user, f"{above}/{unit[folder]}"], check=True)
    ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    (root / SOCKET).unlink(missing_ok=True)
    ear.bind(str(root / SOCKET))
    os.chmod(root / SOCKET, 0o666)
    watchdog_us = int(unit["WatchdogSec"]) * 1_000_000
    variables = [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        f"HOME=/var/lib/{unit['StateDirectory']}",
        f"NOTIFY_SOCKET=/{SOCKET}",
        f"WATCHDOG_USEC={watchdog_us}",
        *environment,
        *(["TLS=off"] if os.environ.get("PLAIN") else []),
    ]
    capabilities = ",".join(["-all", *(f"+{name.removeprefix('CAP_').lower()}" for name in unit["AmbientCapabilities"].split())])
    run = f"umask {unit['UMask']}; cd {unit['WorkingDirectory']}; exec {unit['ExecStart']}"
    command = [
        *enter,
        *("prlimit", f"--nice={unit['LimitNICE']}", f"--nofile={unit['LimitNOFILE']}", f"--core={unit['LimitCORE']}"),
        *("setpriv", f"--reuid={user}", f"--regid={unit['Group']}", "--init-groups", "--no-new-privs"),
        *(f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}", f"--bounding-set={capabilities}"),
        *("env", "-i", *variables, "sh", "-c", run),
    ]
    with open(log, "ab", buffering=0) as out:
        service = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

        def hear():
            while True:
                for line in ear.recv(4096).decode().splitlines():
                    out.write(f"told: {line}\n".encode())

        threading.Thread(target=hear, daemon=True).start()
        code = service.wait()
        out.write(f"ended: {code}\n".encode())
    sys.exit(code)


main()
