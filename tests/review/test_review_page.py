"""The page in a real browser: where there is none, or Playwright is not installed, these tests say how to get it."""

import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import pytest

import faceloom
from faceloom.isolation import module_command, module_environment
from faceloom.store.folder import DATABASE
from faceloom.store.persons import read_embeddings, write_persons
from review.made_review import CLIP, HOSTILE, PERSONS, PICTURES, write_review

HOW = "pip install 'faceloom[review,browser]', and a browser: apt-get install chromium chromium-driver"
pytest.importorskip("starlette", reason=HOW)
playwright = pytest.importorskip("playwright.sync_api", reason=HOW)
expect = playwright.expect
expect.set_options(timeout=30_000)  # where many work on few cores
Browser: TypeAlias = Any
Tab: TypeAlias = Any
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=f"there is no Chromium here: {HOW}")
SHOTS = os.environ.get("FACELOOM_SHOTS")
"""A folder for pictures of the pages, as docs/review.md shows them."""
NOTE = "<script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_review(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with playwright.sync_playwright() as drivers:
        found = drivers.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


class Served:
    """A folder and the process that serves it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.start()

    def start(self, *options: str) -> None:
        command = module_command("faceloom", "review", str(self.folder), "--no-browser", *options)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=module_environment())
        assert self.process.stdout
        self.address = self.process.stdout.readline().strip()
        assert self.address.startswith("http://127.0.0.1:")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()

    @property
    def persons(self) -> list[str]:
        with faceloom.open(self.folder) as results:
            return list(results.persons)

    def face(self, number: int) -> Any:
        with faceloom.open(self.folder) as results:
            return list(results.faces(rejected=True))[number]


@pytest.fixture
def served(made: Path, tmp_path: Path) -> Iterator[Served]:
    found = Served(Path(shutil.copytree(made, tmp_path / "out")))
    yield found
    found.end()


@pytest.fixture
def tab(browser: Browser, served: Served) -> Iterator[Tab]:
    opened = browser.new_page(viewport={"width": 1280, "height": 720})
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda told: problems.append(told.text) if "Content Security" in told.text else None)
    opened.goto(served.address)
    expect(cells(opened).first).to_contain_text("person 1")
    yield opened
    opened.close()
    assert not problems


def saved(tab: Tab) -> None:
    expect(tab.locator("#saved")).to_have_text("saved")


def cells(tab: Tab) -> Any:
    return tab.locator(".cell:visible")


def go_to_faces(tab: Tab) -> None:
    tab.keyboard.press("Alt+2")
    expect(tab.locator(".face strong").first).not_to_be_empty()


def test_people_are_named_searched_and_merged_by_keys_and_by_dragging(tab: Tab, served: Served) -> None:
    tab.keyboard.press("n")
    tab.keyboard.type("Ann")
    tab.keyboard.press("Enter")
    saved(tab)
    expect(tab.get_by_role("option", name="Ann, ")).to_be_visible()
    cells(tab).filter(has_text="person 4").drag_to(cells(tab).filter(has_text="person 3"))
    expect(cells(tab)).to_have_count(PERSONS - 1)
    tab.keyboard.press("z")
    expect(cells(tab)).to_have_count(PERSONS)
    assert sorted(served.persons) == ["Ann", "person 2", "person 3", "person 4"]
    tab.keyboard.press("/")
    tab.keyboard.type("person 2")
    expect(cells(tab)).to_have_count(1)
    expect(cells(tab).first).to_contain_text("person 2")
    tab.keyboard.press("Enter")
    tab.keyboard.press("m")
    tab.locator("#dialogs input").fill("An")
    expect(tab.locator("#who li")).to_have_count(1)
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Enter")
    expect(cells(tab)).to_have_count(0)
    assert sorted(served.persons) == ["Ann", "person 3", "person 4"]


def test_faces_are_rejected_assigned_and_noted_and_the_page_is_where_it_was_when_loaded_anew(
    tab: Tab, served: Served
) -> None:
    go_to_faces(tab)
    tab.keyboard.press("x")
    saved(tab)
    expect(cells(tab).first.locator(".mark")).to_be_visible()
    assert served.face(0).rejected == "hand"
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Shift+ArrowRight")
    tab.keyboard.press("m")
    tab.keyboard.type("Eve")
    tab.keyboard.press("Enter")
    expect(cells(tab).filter(has_text="Eve")).to_have_count(2)
    tab.keyboard.press("n")
    tab.keyboard.type(NOTE)
    tab.keyboard.press("Enter")
    expect(tab.locator(".noted")).to_have_count(1)
    tab.reload()
    expect(cells(tab).first.locator(".mark")).to_be_visible()
    expect(cells(tab).filter(has_text="Eve")).to_have_count(2)
    assert [served.face(i).person for i in (1, 2)] == ["Eve", "Eve"]
    tab.keyboard.press("u")
    saved(tab)
    expect(tab.locator(".mark")).to_have_count(0)
    assert served.face(0).rejected is None


def test_who_is_the_same_is_asked_and_answered_by_keys(browser: Browser, served: Served) -> None:
    with sqlite3.connect(served.folder / "faceloom.sqlite") as db:  # everybody looks like everybody
        db.execute("UPDATE face SET embedding = (SELECT embedding FROM face WHERE id = 1)")
    db.close()
    tab = browser.new_page()
    tab.goto(served.address)
    expect(cells(tab).first).to_contain_text("person 1")
    tab.keyboard.press("q")
    expect(tab.locator(".pair figure")).to_have_count(2)
    first = tab.locator(".pair strong").all_inner_texts()
    tab.keyboard.press("Space")
    expect(tab.locator(".pair strong")).not_to_have_text(first)
    tab.keyboard.press("y")
    expect(cells(tab)).to_have_count(PERSONS - 1)
    tab.keyboard.press("Escape")
    expect(tab.get_by_role("dialog")).to_have_count(0)
    assert len(served.persons) == PERSONS - 1
    tab.close()


def test_hostile_names_and_notes_are_shown_as_text(tab: Tab, served: Served) -> None:
    faceloom.corrections(served.folder).name("person 2", NOTE)
    with faceloom.open(served.folder) as results:
        (hostile,) = results.faces(source=HOSTILE)
    faceloom.corrections(served.folder).note(hostile, NOTE)
    tab.reload()
    expect(tab.get_by_text(NOTE)).to_be_visible()
    tab.goto(f"{served.address}#faces?by=source&of={HOSTILE.replace('=', '%3D')}")
    expect(tab.locator(".title")).to_have_text(HOSTILE)
    expect(tab.locator(".noted")).to_have_attribute("title", NOTE)
    cells(tab).first.dblclick()
    expect(tab.locator(".title")).to_contain_text(HOSTILE)
    tab.keyboard.press("Alt+5")
    expect(tab.locator(".history li").first).to_contain_text(NOTE)
    assert "faceloom" in tab.title()


def test_landmarks_and_box_are_moved_by_pointer_and_keys_and_saved(tab: Tab, served: Served) -> None:
    go_to_faces(tab)
    tab.keyboard.press("Enter")
    dot = tab.locator("[data-point='30']")
    expect(dot).to_be_visible()
    before = served.face(0)
    place = dot.bounding_box()
    assert place
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x + 30, y + 12, steps=3)
    tab.mouse.up()
    expect(tab.get_by_text("moved, not saved")).to_be_visible()
    tab.keyboard.press("5")  # the mouth
    tab.keyboard.press("Shift+ArrowDown")
    tab.keyboard.press("Enter")
    saved(tab)
    moved = served.face(0).landmarks - before.landmarks
    assert abs(moved[48:] - np.array([0, 5])).max() < 1e-3
    assert abs(moved[30] - moved[30][0] * np.array([1, 12 / 30])).max() < 0.05
    assert moved[30][0] > 1
    assert abs(moved[:30]).max() < 1e-3
    tab.keyboard.press("b")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Enter")
    expect(tab.get_by_text("moved, not saved")).to_be_hidden()
    saved(tab)
    expect(tab.locator("#undo")).to_be_enabled()
    assert abs(served.face(0).box - before.box - np.array([1, 0, 1, 0])).max() < 1e-3


def test_a_mask_is_painted_by_pointer_and_keys_and_saved(tab: Tab, served: Served) -> None:
    go_to_faces(tab)
    tab.keyboard.press("Enter")
    expect(tab.locator("[data-point='30']")).to_be_visible()
    tab.keyboard.press("p")
    square = tab.locator(".square")
    expect(square).to_be_focused()
    place = square.bounding_box()
    assert place
    before = served.face(0).masks["components"].astype(int)
    for _ in range(7):  # until the brush is hard, and four pixels wide
        tab.keyboard.press("]")
        tab.keyboard.press("}")
    x, y, step = place["x"], place["y"], place["width"] / 8
    tab.mouse.move(x + 1.5 * step, y + 1.5 * step)
    tab.mouse.down()
    tab.mouse.move(x + 6.5 * step, y + 1.5 * step, steps=4)
    tab.mouse.up()
    tab.keyboard.press("Enter")
    saved(tab)
    expect(square).to_have_count(0)
    after = served.face(0).masks["components"].astype(int)
    assert (after[1, 2:6] == 255).all()
    assert (after[5:] == before[5:]).all()


def test_a_face_is_added_by_drawing_and_landmarks_come_from_the_frames_beside(tab: Tab, served: Served) -> None:
    said = faceloom.corrections(served.folder)
    with faceloom.open(served.folder) as results:
        walk = list(results.faces(source=CLIP))
    points = walk[3].landmarks
    assert points is not None
    said.assign(walk, "Eve")
    for number in (3, 5):
        said.move_landmarks(walk[number], points + np.float32(number))
    tab.goto(f"{served.address}#frame?source={source_id(served.folder)}&frame=4")
    expect(tab.locator("[data-point='30']")).to_be_visible()
    tab.keyboard.press("o")
    expect(tab.locator(".onion")).to_have_attribute("src", re.compile("/3[?]"))
    tab.keyboard.press("o")
    expect(tab.locator(".onion")).to_have_attribute("src", re.compile("/5[?]"))
    tab.keyboard.press("o")
    expect(tab.locator(".onion")).to_be_hidden()
    for key, expected in (("l", 3), ("i", 4)):
        tab.keyboard.press(key)
        expect(tab.get_by_text("moved, not saved")).to_be_visible()
        tab.keyboard.press("Enter")
        saved(tab)
        with faceloom.open(served.folder) as results:
            now = list(results.faces(source=CLIP))[4].landmarks
        assert now is not None
        assert abs(now - points - expected).max() < 1e-2
    stage = tab.locator(".stage").bounding_box()
    assert stage
    tab.keyboard.press("0")
    tab.keyboard.press("c")
    middle = (stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2)
    tab.mouse.move(*middle)
    tab.mouse.down()
    tab.mouse.move(middle[0] + 40, middle[1] + 50, steps=3)
    tab.mouse.up()
    tab.keyboard.press("Enter")
    saved(tab)
    expect(tab.locator("[role=radio]")).to_have_count(2)
    expect(tab.locator(".facts")).to_contain_text("by hand")
    with faceloom.open(served.folder) as results:
        (added,) = (face for face in results.faces(source=CLIP) if face.added_by)
    width, height = added.box[2:] - added.box[:2]
    assert abs(width / height - 0.8) < 0.02
    expect(tab.locator(".facts")).to_contain_text("had other weights")


def source_id(folder: Path) -> int:
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        return int(db.execute("SELECT id FROM source WHERE name = ?", (CLIP,)).fetchone()[0])


def test_two_tabs_show_what_either_says_and_one_outlives_the_server(tab: Tab, browser: Browser, served: Served) -> None:
    other = browser.new_page()
    other.goto(served.address)
    tab.keyboard.press("n")
    tab.keyboard.type("Ann")
    tab.keyboard.press("Enter")
    expect(other.get_by_role("option", name="Ann, ")).to_be_visible()
    other.close()
    served.process.kill()
    tab.keyboard.press("n")
    tab.keyboard.type("Bob")
    tab.keyboard.press("Enter")
    expect(tab.locator("#saved")).to_have_text("not saved")
    assert "Ann" in served.persons


def test_keys_are_listed_and_the_page_is_dark_or_light(tab: Tab, served: Served) -> None:
    tab.keyboard.press("?")
    expect(tab.get_by_role("dialog", name="Keys")).to_be_visible()
    tab.keyboard.press("Escape")
    expect(tab.get_by_role("dialog")).to_have_count(0)
    tab.keyboard.press("t")
    dark = tab.locator("html").get_attribute("data-theme")
    tab.reload()
    expect(tab.locator("html")).to_have_attribute("data-theme", str(dark))
    expect(cells(tab)).to_have_count(PERSONS)
    tab.keyboard.press("Alt+4")
    expect(tab.get_by_text("this is no picture")).to_be_visible()
    tab.keyboard.press("Alt+6")
    plot = tab.locator("svg[data-name='quality']")
    expect(plot).to_be_focused()
    for _ in range(13):
        tab.keyboard.press("ArrowRight")
    expect(plot).to_have_attribute("aria-label", "quality: 0.5 to 1")
    tab.keyboard.press("Enter")
    with faceloom.open(served.folder) as results:
        good = len(results.faces(min_quality=0.5))
    expect(tab.locator(".count")).to_have_text(f"{good} faces")
    assert sum(PICTURES.values()) > 0


@pytest.mark.skipif(SHOTS is None, reason="FACELOOM_SHOTS names no folder for pictures of the pages")
def test_the_pages_are_as_their_pictures_in_the_docs(browser: Browser, samples: Path, tmp_path: Path) -> None:
    """Makes those pictures, of the samples, with names that are made up."""
    faceloom.extract(samples, tmp_path / "samples", identify="dlib", size=256)
    ids, _ = read_embeddings(tmp_path / "samples")
    names = ("Ann", "Bea", "Cleo", "Dora", "Eve", "Fay")
    write_persons(tmp_path / "samples", ids, [names[(i * i + i // 3) % 6] for i in range(len(ids))])
    with faceloom.open(tmp_path / "samples") as results:
        faces = list(results)
    said = faceloom.corrections(tmp_path / "samples")
    said.reject(faces[3], "a poster")
    said.note(faces[5], "ask Ann")
    served = Served(tmp_path / "samples")
    tab = browser.new_page(viewport={"width": 1280, "height": 720})
    tab.goto(served.address)
    expect(cells(tab)).to_have_count(len(names))
    shoot(tab, "people")
    go_to_faces(tab)
    tab.keyboard.press("ArrowRight")
    for _ in range(3):
        tab.keyboard.press("Shift+ArrowRight")
    tab.keyboard.press("t")
    shoot(tab, "faces")
    tab.keyboard.press("t")
    tab.keyboard.press("Enter")
    expect(tab.locator("[data-point='30']")).to_be_visible()
    tab.keyboard.press("5")
    shoot(tab, "frame")
    tab.close()
    served.end()


def shoot(tab: Tab, name: str) -> None:
    tab.wait_for_load_state("networkidle")
    tab.wait_for_timeout(500)
    picture = cv2.imdecode(np.frombuffer(tab.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    small = cv2.resize(np.asarray(picture), (800, 450), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(Path(str(SHOTS)) / f"review-{name}.jpg"), small, [cv2.IMWRITE_JPEG_QUALITY, 72])
