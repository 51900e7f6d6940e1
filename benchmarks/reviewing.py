"""What the page of `faceloom review` takes over many faces: first paint, jumps, actions, memory, cells.

    python benchmarks/reviewing.py FOLDER [--faces 100000]

FOLDER is a result folder with chips and embeddings. A copy of its store is filled up with copies of its faces, which
show the same chips, and people of some dozens of faces each; then a browser goes through it. Needs the extras `review`
and `browser`, and Chromium.
"""

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from faceloom.isolation import module_command, module_environment
from faceloom.memory.usage import held_bytes, peak_bytes
from faceloom.units import MIB

_FRAMES_A_SOURCE = 500
_FACES_A_PERSON = 60
_JUMPS = 20
_ACTIONS = 20
_PLACES = "source_id, frame_idx, idx"


def fill(folder: Path, out: Path, faces: int) -> None:
    """A result folder of so many faces, each a copy of one that there is."""
    out.mkdir()
    shutil.copytree(folder / "chips", out / "chips")
    with closing(sqlite3.connect(folder / "faceloom.sqlite")) as before:
        before.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(folder / "faceloom.sqlite", out / "faceloom.sqlite")
    with closing(sqlite3.connect(out / "faceloom.sqlite")) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(face)")]
        kept = ", ".join(name for name in columns if name not in {"id", "source_id", "frame_idx", "idx", "person"})
        found = [number for (number,) in db.execute("SELECT id FROM face ORDER BY id")]
        run = db.execute("SELECT max(run_id) FROM source").fetchone()[0]
        for number in range(len(found), faces):
            place, at = divmod(number, _FRAMES_A_SOURCE)
            if at == 0 or number == len(found):
                source = db.execute(
                    "INSERT INTO source (name, path, kind, size_bytes, mtime_ns, time_base, run_id)"
                    " VALUES (?, ?, 'video', 1, 1, '1/25', ?)",
                    (f"many/{place:06}.mp4", f"/many/{place:06}.mp4", run),
                ).lastrowid
            frame = (
                "INSERT INTO frame (source_id, idx, ticks, height, width, status) VALUES (?, ?, ?, 720, 1280, 'done')"
            )
            db.execute(frame, (source, at, at))
            db.execute(
                f"INSERT INTO face ({_PLACES}, person, {kept}) SELECT ?, ?, 0, ?, {kept} FROM face WHERE id = ?",
                (source, at, f"person {number // _FACES_A_PERSON + 1}", found[number % len(found)]),
            )
        db.commit()


def measure(folder: Path, chromium: str) -> dict[str, Any]:
    """Goes through the page of a folder."""
    from playwright.sync_api import expect, sync_playwright

    command = module_command("faceloom", "review", str(folder), "--no-browser")
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=module_environment()) as server:
        assert server.stdout
        address = server.stdout.readline().strip()
        found: dict[str, Any] = {"start_s": time.perf_counter() - begun, "server_mib": [held_bytes(server.pid) / MIB]}
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                tab = browser.new_page(viewport={"width": 1280, "height": 720})
                with _clocked(found, "first_paint", server.pid):
                    tab.goto(address)
                    expect(tab.locator(".person img").first).to_be_visible()
                tab.goto(f"{address}#faces?by=all&sort=time")
                expect(tab.locator(".face .tile").first).to_be_visible()
                with _clocked(found, "all_jumps", server.pid):
                    found |= _jumps(tab)
                with _clocked(found, "all_actions", server.pid):
                    found |= _actions(tab)
                found["cells"] = tab.locator(".cell").count()
                found["server_mib"].append(held_bytes(server.pid) / MIB)
                browser.close()
            found["server_peak_mib"] = peak_bytes(server.pid) / MIB
        finally:
            server.kill()
    return found


@contextmanager
def _clocked(found: dict[str, Any], name: str, server: int) -> Iterator[None]:
    """Notes the seconds that something took, and the CPU-seconds of the server and of the browser."""
    begun, server_before, browser_before = time.perf_counter(), _cpu_s([server]), _cpu_s(_below(os.getpid(), server))
    yield
    found[f"{name}_s"] = time.perf_counter() - begun
    found[f"{name}_cpu_s"] = {
        "server": _cpu_s([server]) - server_before,
        "browser": _cpu_s(_below(os.getpid(), server)) - browser_before,
    }


def _below(parent: int, server: int) -> list[int]:
    """The processes that a process has begun, and theirs, but for the server's."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = [parent]
    for one in found:
        found += [child for child, of in parents.items() if of == one and child != server]
    return found[1:]


def _cpu_s(processes: list[int]) -> float:
    ticks = 0
    for process in processes:
        with suppress(OSError):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


_JUMP = """async (share) => {
  const cells = document.querySelector(".cells");
  const began = performance.now();
  cells.scrollTop = share * cells.scrollHeight;
  const isReady = () => {
    const shown = [...cells.querySelectorAll(".cell:not([hidden])")];
    return shown.length > 20 && shown.every((cell) => cell.querySelector(".tile")?.style.backgroundImage);
  };
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  while (!isReady()) await new Promise((resolve) => setTimeout(resolve, 10));
  return (performance.now() - began) / 1000;
}"""
_ACT = """async () => {
  const began = performance.now();
  const status = document.getElementById("saved");
  status.textContent = "";
  const cell = document.querySelector(".cell.active");
  document.querySelector(".cells").dispatchEvent(new KeyboardEvent("keydown", { key: "x", bubbles: true }));
  await new Promise((resolve) => requestAnimationFrame(resolve));
  const seen = cell.querySelector(".mark") ? (performance.now() - began) / 1000 : null;
  while (status.textContent !== "saved") await new Promise((resolve) => setTimeout(resolve, 2));
  return [seen, (performance.now() - began) / 1000];
}"""


def _jumps(tab: Any) -> dict[str, Any]:
    """Seconds until every picture in view after a jump is there."""
    seconds = [tab.evaluate(_JUMP, (i * 7 % _JUMPS + 0.5) / _JUMPS) for i in range(_JUMPS)]
    return {"jump_s": [statistics.median(seconds), max(seconds)]}


def _actions(tab: Any) -> dict[str, Any]:
    """Seconds until a face that is rejected is seen to be, and until that is on disk."""
    seen, durable = [], []
    for _ in range(_ACTIONS):
        tab.keyboard.press("ArrowRight")
        tab.wait_for_timeout(150)
        one, other = tab.evaluate(_ACT)
        seen.append(one)
        durable.append(other)
    return {
        "seen_s": [statistics.median(seen), max(seen)],
        "durable_s": [statistics.median(durable), max(durable)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--out", type=Path, help="where the filled folder is made, and kept")
    chosen = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("there is no Chromium here")
    with tempfile.TemporaryDirectory() as scratch:
        out = chosen.out or Path(scratch) / "many"
        if not out.exists():
            fill(chosen.folder, out, chosen.faces)
        print(json.dumps(measure(out, chromium), indent=2))


if __name__ == "__main__":
    main()
