"""The licences of all that is built into the program, with their texts: what `make deb` puts beside it.

    python3 packaging/licences.py > licences.txt

Crates are those that cargo links into the program, packages those of npm that the page's bundle may have. A text that many share is there once.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMES = ("licen", "copying", "notice", "copyright", "unlicense")


def texts(folder):
    """The texts of a package's licences."""
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.name.lower().startswith(NAMES):
            yield file.read_text(errors="replace").strip()


def crates():
    """Name, licence and folder of each crate in the program that is none of ours."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", host()]
    metadata = json.loads(subprocess.run(command, check=True, capture_output=True, cwd=ROOT).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    seen, waiting = set(), [package["id"] for package in packages.values() if package["name"] == "reelroom"]
    while waiting:
        crate = waiting.pop()
        if crate in seen:
            continue
        seen.add(crate)
        for dependency in nodes[crate]["deps"]:
            # What runs while it is built is not in it.
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                waiting.append(dependency["pkg"])
    for package in sorted((packages[crate] for crate in seen), key=lambda package: (package["name"], package["version"])):
        if package["source"] is not None:
            licence = package["license"] or "as its text says"
            yield f"{package['name']} {package['version']}", licence, Path(package["manifest_path"]).parent


def host():
    version = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    return next(line.split()[1] for line in version.splitlines() if line.startswith("host:"))


def npm():
    """The same of the page's packages."""
    lock = json.loads((ROOT / "web/package-lock.json").read_text())
    for path, package in sorted(lock["packages"].items()):
        folder = ROOT / "web" / path
        if path and not package.get("dev") and folder.is_dir():
            yield f"{path.rpartition('node_modules/')[2]} {package['version']} (npm)", package.get("license", "as its text says"), folder


def main():
    by_text, without = {}, []
    for name, licence, folder in [*crates(), *npm()]:
        found = list(texts(folder))
        for text in found:
            by_text.setdefault(text, []).append(f"{name}: {licence}")
        if not found:
            without.append(f"{name}: {licence}")
    out = sys.stdout
    out.write("What is built into Reelroom, and under which licences.\n")
    for text, names in by_text.items():
        out.write("\n" + "=" * 100 + "\n" + "\n".join(dict.fromkeys(names)) + "\n" + "-" * 100 + "\n" + text + "\n")
    if without:
        out.write("\n" + "=" * 100 + "\nWhat comes without a text of its licence:\n" + "\n".join(without) + "\n")


main()
