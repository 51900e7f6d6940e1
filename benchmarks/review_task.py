"""A task by the clock: people of LFW with planted mistakes are put right on the page, by keys alone.

    python benchmarks/review_task.py LFW [--mistakes 5]

LFW is a folder with a folder of pictures for each person. Of each of five kinds so many mistakes are planted: a
stranger among a person's faces, a person in two, a false face, a face that was not found, landmarks that are off.
Whoever sits at the keys knows everybody by sight, which the script does by the names of files; it looks where the page
shows it, and presses keys. Printed are the keys pressed and the seconds for each kind, and what is not as it was. Needs
the extras `review` and `browser`, Chromium, and the weights of `dlib`.
"""

import argparse
import json
import re
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import faceloom
from faceloom.isolation import module_command, module_environment
from faceloom.store.folder import DATABASE
from faceloom.store.persons import read_embeddings, write_persons

_OFF_PX = (20.0, 10.0)
_SIDE = 250


def pictures(lfw: Path, out: Path, pairs: int) -> None:
    """One picture a face; but of some people two in one picture, of whom the right one will be missed."""
    out.mkdir()
    images = lfw / "images" if (lfw / "images").is_dir() else lfw
    people = sorted(path for path in images.iterdir() if path.is_dir())
    taken: set[Path] = set()
    for i in range(pairs):
        left, right = (sorted(people[(2 * i + k) % len(people)].iterdir())[-1 - i // 5] for k in range(2))
        both = np.hstack([np.asarray(cv2.imread(str(one))) for one in (left, right)])
        cv2.imwrite(str(out / f"{left.parent.name}+{right.parent.name}.jpg"), both, [cv2.IMWRITE_JPEG_QUALITY, 98])
        taken |= {left, right}
    for path in (path for person in people for path in sorted(person.iterdir()) if path not in taken):
        shutil.copy(path, out / path.name)


def truth(source: str, box: Any) -> str:
    """Whose face it is, by its picture and where it is there."""
    names = [re.sub(r"_\d{4}$", "", name) for name in Path(source).stem.split("+")]
    return names[min(len(names) - 1, int((box[0] + box[2]) / 2 // _SIDE))]


def keep_one_each(folder: Path) -> None:
    """Of each picture, or half of it, the largest face: those behind are nobody's here."""
    with faceloom.open(folder) as results:
        faces = sorted(results, key=lambda face: -float(np.prod(face.box[2:] - face.box[:2])))
    seen: set[tuple[str, str]] = set()
    lost = []
    for face in faces:
        key = (face.frame.source, truth(face.frame.source, face.box))
        lost += [(face.frame.source, face.index)] if key in seen else []
        seen.add(key)
    with closing(sqlite3.connect(folder / DATABASE)) as db, db:
        query = "DELETE FROM face WHERE source_id = (SELECT id FROM source WHERE name = ?) AND idx = ?"
        db.executemany(query, lost)


@dataclass
class Planted:
    """The mistakes, and what is right."""

    strangers: dict[str, str] = field(default_factory=dict)
    """Whose each is, by the place of the face."""
    halves: dict[str, str] = field(default_factory=dict)
    """The person, by the second name."""
    false: list[str] = field(default_factory=list)
    missed: dict[str, tuple[str, list[float]]] = field(default_factory=dict)
    """Whose, and the box, by the source."""
    off: dict[str, Any] = field(default_factory=dict)
    """The landmarks, by the place of the face."""


def plant(folder: Path, count: int) -> Planted:
    """Plants the mistakes; faces and persons are otherwise as they are in truth."""
    ids, _ = read_embeddings(folder)
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        rows = {
            number: (name, index, box)
            for number, name, index, *box in db.execute(
                "SELECT face.id, name, idx, x0, y0, x1, y1 FROM face JOIN source ON source.id = source_id"
            )
        }
    write_persons(folder, ids, [truth(rows[number][0], rows[number][2]) for number in ids])
    planted, rng = Planted(), np.random.default_rng(7)
    names = sorted({truth(name, box) for name, _, box in rows.values()})
    single = [number for number in ids if "+" not in rows[number][0]]
    chosen = iter(rng.permutation(single).tolist())
    with closing(sqlite3.connect(folder / DATABASE)) as db, db:
        for i in range(count):
            number = next(chosen)
            name, index, box = rows[number]
            other = names[(names.index(truth(name, box)) + 1 + i) % len(names)]
            db.execute("UPDATE face SET person = ? WHERE id = ?", (other, number))
            planted.strangers[f"{name}#0/{index}"] = truth(name, box)
        for i in range(count):
            person = names[i % len(names)]
            some = [number for (number,) in db.execute("SELECT id FROM face WHERE person = ? ORDER BY id", (person,))]
            planted.halves[f"person {i + 1}"] = person
            db.executemany("UPDATE face SET person = ? WHERE id = ?", [(f"person {i + 1}", one) for one in some[::2]])
        for number in (next(chosen) for _ in range(count)):
            _plant_false(db, folder, number, rng)
            planted.false.append(f"{rows[number][0]}#0/9")
        for number in (next(chosen) for _ in range(count)):
            name, index, _ = rows[number]
            (content,) = db.execute("SELECT landmarks FROM face WHERE id = ?", (number,)).fetchone()
            points = np.frombuffer(content, "<f4").reshape(68, 2)
            moved = (points + np.array(_OFF_PX, np.float32)).astype("<f4").tobytes()
            db.execute("UPDATE face SET landmarks = ? WHERE id = ?", (moved, number))
            planted.off[f"{name}#0/{index}"] = points
        for number, (name, _, box) in rows.items():
            if "+" in name and (box[0] + box[2]) / 2 >= _SIDE and len(planted.missed) < count:
                planted.missed[name] = (truth(name, box), box)
                db.execute("DELETE FROM face WHERE id = ?", (number,))
    return planted


def _plant_false(db: sqlite3.Connection, folder: Path, number: int, rng: "np.random.Generator") -> None:
    """A face of the corner of a picture, as somebody's."""
    columns = [row[1] for row in db.execute("PRAGMA table_info(face)") if row[1] not in {"id", "idx"}]
    told = ", ".join(columns)
    (new,) = db.execute("SELECT max(id) + 1 FROM face").fetchone()
    db.execute(f"INSERT INTO face (id, idx, {told}) SELECT ?, 9, {told} FROM face WHERE id = ?", (new, number))
    wild = rng.normal(size=128)
    embedding = (wild / np.linalg.norm(wild)).astype("<f4").tobytes()
    place = "x0 = 5, y0 = 5, x1 = 45, y1 = 50, score = 0.61, quality = 0.05"
    (chip,) = db.execute("SELECT chip FROM face WHERE id = ?", (number,)).fetchone()
    other = chip.replace("_0.", "_9.")
    cv2.imwrite(str(folder / other), np.full((64, 64, 3), 90, np.uint8))
    db.execute(f"UPDATE face SET {place}, embedding = ?, chip = ? WHERE id = ?", (embedding, other, new))


class Sitting:
    """Somebody at the keys."""

    def __init__(self, tab: Any, address: str, expect: Any) -> None:
        self.tab, self.address, self.expect = tab, address, expect
        self.keys = 0
        self.spent: dict[str, tuple[int, float]] = {}

    @contextmanager
    def clocked(self, name: str) -> Iterator[None]:
        """Notes what a kind of mistake took."""
        keys, begun = self.keys, time.perf_counter()
        yield
        self.spent[name] = (self.keys - keys, time.perf_counter() - begun)

    def press(self, key: str, times: int = 1) -> None:
        for _ in range(times):
            self.tab.keyboard.press(key)
        self.keys += times

    def write(self, text: str) -> None:
        self.tab.keyboard.type(text)
        self.keys += len(text)

    def saved(self) -> None:
        self.expect(self.tab.locator("#saved")).to_have_text("saved")

    def ask(self, path: str) -> Any:
        """What the page shows, as the server tells it."""
        return self.tab.evaluate("async (path) => (await fetch(path)).json()", path)

    def say_whose(self, name: str) -> None:
        """Answers the question of whom, with somebody who is known."""
        self.press("m")
        self.expect(self.tab.locator("#dialogs input")).to_be_focused()
        self.write(name)
        self.expect(self.tab.locator("#who li")).to_have_count(1)
        self.press("ArrowDown")
        self.press("Enter")
        self.expect(self.tab.locator("#dialogs input")).to_have_count(0)
        self.saved()

    def find_person(self, name: str) -> None:
        """Searches for a person among all."""
        if "#people" in self.tab.url:
            self.press("Escape")
        else:
            self.press("Alt+1")
            self.expect(self.tab.locator(".person:visible").first).to_be_visible()
        self.expect(self.tab).to_have_title(re.compile("^People"))
        self.expect(self.tab.locator("input[type=search]")).to_be_visible()
        self.press("/")
        self.expect(self.tab.locator("input[type=search]")).to_be_focused()
        self.press("Control+a")
        self.write(name)
        found = self.tab.locator(".person:visible")
        self.expect(found).to_have_count(1)
        self.expect(found.first).to_contain_text(name)

    def open_person(self, name: str) -> list[dict[str, Any]]:
        """Goes to the faces of a person, outliers first, and sees them."""
        self.find_person(name)
        self.press("Enter")
        self.press("Enter")
        self.expect(self.tab.locator(".face:visible strong").first).not_to_be_empty()
        told = dict(part.split("=") for part in self.tab.url.partition("?")[2].split("&"))
        query = "&".join(f"{key}={value}" for key, value in told.items())
        listing = self.ask(f"api/list?{query}")["listing"]
        return list(self.ask(f"api/rows?listing={listing}&first=0&count=100")["faces"])

    def go_to(self, place: int) -> None:
        self.press("Home")
        self.press("ArrowRight", place)


def put_right(folder: Path, planted: Planted, chromium: str) -> Sitting:
    """Sits down and does it."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)
    command = module_command("faceloom", "review", str(folder), "--no-browser")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=module_environment()) as server:
        assert server.stdout
        address = server.stdout.readline().strip()
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                tab = browser.new_page(viewport={"width": 1280, "height": 720})
                tab.goto(f"{address}#people")
                expect(tab.locator(".person:visible").first).to_be_visible()
                sitting = Sitting(tab, address, expect)
                _sit(sitting, planted)
                browser.close()
        finally:
            server.terminate()
    return sitting


def _sit(sitting: Sitting, planted: Planted) -> None:
    press, saved, expect, tab = sitting.press, sitting.saved, sitting.expect, sitting.tab
    people = [one["name"] for one in sitting.ask("api/people?count=100")["people"]]
    names = sorted(name for name in people if not name.startswith("person "))
    with sitting.clocked("a person in two"):
        for second, person in planted.halves.items():
            sitting.find_person(second)
            press("Enter")
            sitting.say_whose(person)
    with sitting.clocked("strangers, and false faces"):
        for name in names:
            for row in reversed(list(enumerate(sitting.open_person(name)))):
                place, face = row
                where = f"{face['source']}#{face['frame']}/{face['index']}"
                if where in planted.false and not face["rejected"]:
                    sitting.go_to(place)
                    press("x")
                    saved()
                elif where in planted.strangers and planted.strangers[where] != name:
                    sitting.go_to(place)
                    sitting.say_whose(planted.strangers[where])
    with sitting.clocked("landmarks off"):
        for where in planted.off:
            _open_frame(sitting, where, names)
            expect(tab.locator("[data-point='30']")).to_be_visible()
            press("a")
            press("Shift+ArrowLeft", int(_OFF_PX[0] / 5))
            press("Shift+ArrowUp", int(_OFF_PX[1] / 5))
            press("Enter")
            saved()
    with sitting.clocked("missed faces"):
        for source, (person, box) in planted.missed.items():
            _open_frame(sitting, f"{source}#0/", names)
            expect(tab.locator(".overlay .box").first).to_be_visible()
            press("0")
            press("c")
            _move_box(sitting, box)
            press("Enter")
            saved()
            expect(tab.locator(".facts")).to_contain_text("by hand")
            sitting.say_whose(person)


def _open_frame(sitting: Sitting, where: str, names: list[str]) -> None:
    """Goes to a face by its person and its place among their faces."""
    source = where.partition("#")[0]
    for name in names:
        if name in source:
            for place, face in enumerate(sitting.open_person(name)):
                if f"{face['source']}#{face['frame']}/{face['index']}".startswith(where):
                    sitting.go_to(place)
                    sitting.press("Enter")
                    sitting.expect(sitting.tab.locator(".title")).to_contain_text(source)
                    return
    raise RuntimeError(f"{where} is not there")


def _move_box(sitting: Sitting, box: list[float]) -> None:
    """Moves a new box to where the face is, as whoever sees both does."""

    def now() -> list[float]:
        told = sitting.tab.locator("[data-new]")
        return [float(told.get_attribute(name)) for name in ("x", "y", "width", "height")]

    for axis, less, more in ((0, "ArrowLeft", "ArrowRight"), (1, "ArrowUp", "ArrowDown")):
        place = now()
        off = (box[axis] + box[axis + 2]) / 2 - (place[axis] + place[axis + 2] / 2)
        sitting.press(f"Shift+{more if off > 0 else less}", round(abs(off) / 5))
    ratio = (box[3] - box[1]) / now()[3]
    sitting.press("}" if ratio > 1 else "{", round(abs(np.log(ratio) / np.log(1.02))))


def check(folder: Path, planted: Planted, before: dict[str, Any]) -> list[str]:
    """What is not as it should be."""
    wrong = []
    with faceloom.open(folder) as results:
        faces = {f"{face.frame}/{face.index}": face for face in results}
    for where, face in faces.items():
        if face.person != truth(face.frame.source, face.box):
            wrong.append(f"{where} is {face.person}")
        if before.get(where) is not None and face.landmarks is not None and not face.added_by:
            off = float(np.abs(face.landmarks - before[where]).max())
            wrong += [f"{where} is {off:.1f} px off"] if off > 1 else []
    wrong += [f"{where} is a face" for where in planted.false if where in faces]
    for source, (_, box) in planted.missed.items():
        added = [face for face in faces.values() if face.frame.source == source and face.added_by]
        wrong += [] if len(added) == 1 else [f"{source} has {len(added)} added faces"]
        for face in added:
            ours, theirs = face.box, np.array(box)
            size = np.clip(np.minimum(ours[2:], theirs[2:]) - np.maximum(ours[:2], theirs[:2]), 0, None).prod()
            union = (ours[2:] - ours[:2]).prod() + (theirs[2:] - theirs[:2]).prod() - size
            wrong += [f"{source}: IoU {size / union:.2f}"] if size / union < 0.7 else []
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lfw", type=Path)
    parser.add_argument("--mistakes", type=int, default=5)
    told = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("there is no Chromium here")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "out"
        pictures(told.lfw, Path(place) / "in", told.mistakes)
        faceloom.extract(Path(place) / "in", folder, identify="dlib", size=128)
        keep_one_each(folder)
        with faceloom.open(folder) as results:
            before = {f"{face.frame}/{face.index}": face.landmarks for face in results}
        planted = plant(folder, told.mistakes)
        begun = time.perf_counter()
        sitting = put_right(folder, planted, chromium)
        seconds = time.perf_counter() - begun
        wrong = check(folder, planted, before)
    spent = {name: {"keys": keys, "seconds": round(took, 1)} for name, (keys, took) in sitting.spent.items()}
    print(json.dumps({"keys": sitting.keys, "seconds": round(seconds, 1), "kinds": spent, "wrong": wrong}, indent=1))


if __name__ == "__main__":
    main()
