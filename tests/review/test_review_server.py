import base64
import json
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import faceloom
from faceloom.cli.main import main
from faceloom.errors import BudgetError
from faceloom.geometry.chips import cut, frame_to_chip
from faceloom.geometry.landmarks import MEAN_FACE
from faceloom.isolation import module_command, module_environment
from faceloom.review import server
from faceloom.review.remaker import Remaker
from faceloom.store.folder import is_held, locked

pytest.importorskip("starlette", reason="the page needs Starlette: pip install 'faceloom[review]'")

from clips import read_number
from review.made_review import CLIP, FRAMES, HOSTILE, PERSONS, PICTURES, Page, key, write_review

ALL = sum(PICTURES.values()) + FRAMES


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_review(tmp_path_factory.mktemp("review"))


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "out"))


@pytest.fixture
def page(folder: Path) -> Iterator[Page]:
    with Page(folder) as found:
        yield found


def everything(folder: Path) -> list[Any]:
    with faceloom.open(folder) as results:
        return list(results.faces(rejected=True))


def test_a_list_has_the_faces_of_the_folder_in_its_order(page: Page, folder: Path) -> None:
    expected = everything(folder)
    found = page.faces(by="all", sort="time")
    assert [key(face) for face in found] == [(f.frame.source, f.frame.index, f.index) for f in expected]
    for face, row in zip(found, expected, strict=True):
        assert (face["person"], face["rejected"]) == (row.person, row.rejected)
        assert face["score"] == pytest.approx(row.score, abs=1e-4)
        assert face["quality"] == pytest.approx(row.quality, abs=1e-4)
        assert face["time_s"] == (None if row.time is None else pytest.approx(float(row.time)))


@pytest.mark.parametrize(("sort", "value"), [("quality", "quality"), ("-score", "score"), ("size", "size")])
def test_a_list_is_sorted_by_what_is_asked_for(page: Page, sort: str, value: str) -> None:
    values = [face[value] for face in page.faces(by="all", sort=sort)]
    assert values == sorted(values, reverse=not sort.startswith("-"))
    assert len(values) == ALL


def test_a_list_is_of_a_person_a_source_or_a_problem(page: Page, folder: Path) -> None:
    for face in everything(folder)[:2]:
        some = page.faces(by="person", of=face.person)
        assert {one["person"] for one in some} == {face.person}
        assert len(some) == ALL // PERSONS
    assert [key(face) for face in page.faces(by="source", of=HOSTILE)] == [(HOSTILE, 0, 0)]
    poor = page.faces(by="problem", of="quality", sort="-quality")
    assert {key(face) for face in poor} == {key(face) for face in page.faces(by="all") if face["quality"] < 0.3}
    assert page.ask("api/list?by=source&of=nowhere").status == 400
    assert page.ask("api/list?by=all&sort=beauty").status == 400


def test_outliers_come_first_by_the_distance_from_the_centre_of_their_person(page: Page, folder: Path) -> None:
    with faceloom.open(folder) as results:
        faces = list(results.faces(person="person 1"))
    embeddings = np.array([face.embedding for face in faces])
    centre = embeddings.sum(axis=0) / np.linalg.norm(embeddings.sum(axis=0))
    places = [(face.frame.source, face.frame.index, face.index) for face in faces]
    expected = dict(zip(places, (1 - embeddings @ centre).tolist(), strict=True))
    found = page.faces(by="person", of="person 1", sort="doubt")
    assert [key(face) for face in found] == sorted(places, key=lambda place: -expected[place])
    assert {key(face): face["doubt"] for face in found} == pytest.approx(expected, abs=1e-3)


def test_those_are_asked_about_who_may_be_one_and_not_again(page: Page, folder: Path) -> None:
    rng = np.random.default_rng(0)
    directions = np.eye(16)[[0, 0, 1, 2]]  # persons 1 and 2 look alike, the others like nobody
    with sqlite3.connect(folder / "faceloom.sqlite") as db:
        for face, person in db.execute("SELECT id, person FROM face").fetchall():
            vector = directions[int(person.split()[1]) - 1] + rng.normal(0, 0.02, 16)
            content = (vector / np.linalg.norm(vector)).astype("<f4").tobytes()
            db.execute("UPDATE face SET embedding = ? WHERE id = ?", (content, face))
    db.close()

    def asked() -> list[set[str]]:
        return [{pair["one"]["name"], pair["other"]["name"]} for pair in page.get("api/pairs?count=9")["pairs"]]

    (pair,) = page.get("api/pairs")["pairs"]
    assert asked() == [{"person 1", "person 2"}]
    assert pair["cosine"] == pytest.approx(1, abs=0.01)
    page.say(verb="merge", person="person 1", persons=["person 2"])
    assert asked() == []
    page.say(verb="undo")
    assert asked() == [{"person 1", "person 2"}]
    page.say(verb="different", faces=[pair["one"]["cover"], pair["other"]["cover"]])
    assert asked() == []


def test_people_are_shown_by_their_best_face_and_found_by_name(page: Page, folder: Path) -> None:
    page.say(verb="name", person="person 2", name="Ann <b>Ä</b>")
    people = page.get("api/people?sort=size&count=60")
    assert people["total"] == PERSONS
    assert sum(one["faces"] for one in people["people"]) == ALL
    (ann,) = page.get("api/people?search=%3CB%3E%C3%A4")["people"]
    assert ann["name"] == "Ann <b>Ä</b>"
    best = max(page.faces(by="person", of=ann["name"]), key=lambda face: face["quality"])
    assert ann["cover"] == best["id"]
    with faceloom.open(folder) as results:
        assert ann["name"] in results.persons


SAYINGS: list[tuple[dict[str, Any], Callable[[Any, list[Any]], Any]]] = [
    ({"verb": "name", "person": "Ann", "name": "Eve"}, lambda said, some: said.name("Ann", "Eve")),
    ({"verb": "merge", "person": "Ann", "persons": ["person 2"]}, lambda said, some: said.merge("Ann", "person 2")),
    ({"verb": "assign", "person": "Eve"}, lambda said, some: said.assign(some, "Eve")),
    ({"verb": "assign", "person": ""}, lambda said, some: said.assign(some, None)),
    ({"verb": "split"}, lambda said, some: said.split(some)),
    ({"verb": "same"}, lambda said, some: said.same(some)),
    ({"verb": "different"}, lambda said, some: said.different(some)),
    ({"verb": "reject", "text": "a poster"}, lambda said, some: said.reject(some, "a poster")),
    ({"verb": "restore"}, lambda said, some: said.restore(some)),
    ({"verb": "box", "box": [1, 2, 30, 40.5]}, lambda said, some: said.move_box(some[0], [1, 2, 30, 40.5])),
    ({"verb": "note", "text": "who?"}, lambda said, some: said.note(some, "who?")),
]


@pytest.mark.parametrize(("told", "say"), SAYINGS, ids=lambda case: case["verb"] if isinstance(case, dict) else "")
def test_what_is_said_on_the_page_is_what_the_library_says(
    told: dict[str, Any], say: Callable[[Any, list[Any]], Any], page: Page, folder: Path, tmp_path: Path
) -> None:
    faceloom.corrections(folder).name("person 1", "Ann")
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    faces = everything(folder)
    one_only = told["verb"] == "box"
    some = faces[3:4] if one_only else [*faces[3:6], faces[9]]
    say(faceloom.corrections(other), [f"{face.frame}/{face.index}" for face in some])
    listing = page.get("api/list?by=all")["listing"]
    ranges = [[3, 3]] if one_only else [[3, 5], [9, 9]]
    answer = page.say(**told, listing=listing, ranges=ranges)
    assert answer["corrections"] == [2]
    here, there = (
        [{**said.to_json(), "uid": "", "at": ""} for said in faceloom.corrections(path)] for path in (folder, other)
    )
    assert here == there
    assert faceloom.export(folder, rejected=True) == faceloom.export(other, rejected=True)


def test_landmarks_that_were_moved_are_kept_and_their_chip_is_cut_anew(page: Page, folder: Path, made: Path) -> None:
    face = page.get(f"api/frame?face={page.faces(by='source', of='bob.png')[0]['id']}")
    (one,) = face["faces"]
    moved = (np.array(one["landmarks"]) + np.array([6, -4])).round(3).tolist()
    previewed = page.ask("api/preview", {"source_id": face["source_id"], "frame": 0, "landmarks": moved, "size": 64})
    page.say(verb="landmarks", faces=[one["id"]], landmarks=moved)
    with faceloom.open(folder) as results:
        (kept,) = results.faces(source="bob.png")
    assert kept.landmarks is not None
    np.testing.assert_allclose(kept.landmarks, moved, atol=1e-3)
    shown = page.ask(f"chip/{one['id']}?size=64")
    frame = decoded((made.parent / "in" / "bob.png").read_bytes())
    expected = cut(frame, frame_to_chip(np.array(moved, np.float32), size=64), size=64)
    for answered in (previewed, shown):
        assert np.abs(decoded(answered.body).astype(int) - expected).mean() < 3  # as far as JPEG goes


def test_a_face_that_was_not_found_is_added_and_gone_when_that_is_undone(page: Page, folder: Path) -> None:
    there = page.get(f"api/frame?face={page.faces(by='source', of='bob.png')[0]['id']}")
    total = page.get("api/state")["faces"]
    page.say(verb="add", source="bob.png", frame=0, box=[3, 4, 43.5, 55])
    now = page.get(f"api/frame?source={there['source_id']}&frame=0")["faces"]
    assert [(face["added"], face["index"]) for face in now] == [(False, 0), (True, 1)]
    assert now[1]["box"] == [3, 4, 43.5, 55]
    assert [face["id"] for face in page.faces(by="source", of="bob.png")] == [face["id"] for face in now]
    assert page.ask(f"chip/{now[1]['id']}?size=64").status == 200, "its box, until there are landmarks"
    assert page.get("api/state")["faces"] == total + 1
    page.say(verb="undo")
    assert page.get("api/state")["faces"] == total
    assert len(page.faces(by="source", of="bob.png")) == 1
    page.say(verb="redo")
    assert page.get("api/state")["faces"] == total + 1
    with faceloom.open(folder) as results:
        assert len(results) == total + 1


def test_a_face_is_known_in_the_frames_beside_and_between_those_that_were_put_right(page: Page, folder: Path) -> None:
    walk = page.faces(by="source", of=CLIP)
    assert len(walk) == FRAMES
    said = faceloom.corrections(folder)
    said.assign([f"{CLIP}#{i}/0" for i in range(FRAMES)], "Eve")
    points = np.array(page.get(f"api/frame?face={walk[3]['id']}")["faces"][0]["landmarks"])
    said.move_landmarks(f"{CLIP}#3/0", points + 5)
    said.move_landmarks(f"{CLIP}#7/0", points + 25)
    said.assign(f"{CLIP}#8/0", "Ann")
    told = page.get(f"api/beside?face={walk[5]['id']}")
    assert [told[name]["frame"] for name in ("last", "before", "here", "after")] == [4, 3, 5, 7]
    assert np.allclose(told["before"]["landmarks"], points + 5, atol=1e-3)
    assert np.allclose(told["after"]["landmarks"], points + 25, atol=1e-3)
    times = [told[name]["time_s"] for name in ("before", "here", "after")]
    assert (times[1] - times[0]) / (times[2] - times[0]) == 0.5
    assert told["last"]["landmarks"] == page.get(f"api/frame?face={walk[4]['id']}")["faces"][0]["landmarks"]
    ends = page.get(f"api/beside?face={walk[2]['id']}")
    assert (ends["before"], ends["after"]["frame"]) == (None, 3)
    assert page.get(f"api/beside?face={walk[8]['id']}")["before"] is None, "of a face that is somebody else's"
    assert page.get(f"api/frame?face={walk[0]['id']}")["beside"] == [None, 1]
    assert page.get(f"api/frame?face={walk[5]['id']}")["beside"] == [4, 6]


def test_one_goes_from_doubtful_face_to_doubtful_face(page: Page, folder: Path) -> None:
    doubtful = {
        face["id"]: (face["source"], face["frame"])
        for problem in ("score", "quality", "turned", "border", "landmarks", "far")
        for face in page.faces(by="problem", of=problem)
    }
    order = [face for face in page.faces(by="all", sort="time") if face["id"] in doubtful]
    at, seen = (0, 0), list[int]()
    places = {face["id"]: page.get(f"api/frame?face={face['id']}") for face in order}
    first = page.get(f"api/frame?face={page.faces(by='all', sort='time')[0]['id']}")
    at = (first["source_id"], first["frame"])
    while (face := page.get(f"api/doubtful?source={at[0]}&frame={at[1]}")["face"]) is not None:
        seen.append(face)
        at = (places[face]["source_id"], places[face]["frame"])
    expected: dict[tuple[str, int], int] = {}
    for one in order:
        if (one["source"], one["frame"]) != (first["source"], first["frame"]):
            expected.setdefault((one["source"], one["frame"]), one["id"])
    assert seen == list(expected.values())


def test_what_cannot_be_looked_at_anew_is_told(folder: Path) -> None:
    faceloom.corrections(folder).add("bob.png", [3, 4, 43.5, 55])
    remaker = Remaker(folder, budget_bytes=None)
    remaker.ask()
    remaker.wait()
    remaker.close()
    assert "had other weights" in remaker.problem


def decoded(content: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(image[..., ::-1], np.uint8)


def test_a_mask_is_painted_over_the_square_of_the_chip(page: Page, folder: Path) -> None:
    face = page.faces(by="source", of="bob.png")[0]["id"]
    assert page.get(f"api/masks?face={face}")["masks"] == ["components", "extended"]
    before = cv2.imdecode(np.frombuffer(page.ask(f"mask/{face}?name=extended").body, np.uint8), cv2.IMREAD_UNCHANGED)
    with faceloom.open(folder) as results:
        (row,) = results.faces(source="bob.png")
        assert np.array_equal(np.asarray(before), row.masks["extended"])
    painted = np.asarray(before).copy()
    painted[2:5, 1:7] = 200

    def paint(content: bytes, **told: Any) -> int:
        told = {"name": "extended", "png_base64": base64.b64encode(content).decode(), **told}
        return page.ask("api/say", {"verb": "mask", "faces": [face], **told}).status

    assert paint(cv2.imencode(".png", painted)[1].tobytes()) == 200
    with faceloom.open(folder) as results:
        (row,) = results.faces(source="bob.png")
        assert np.array_equal(row.masks["extended"], painted)
        assert set(row.masks) == {"components", "extended"}
    assert paint(cv2.imencode(".png", painted[:4])[1].tobytes()) == 400  # no square
    assert paint(cv2.imencode(".jpg", painted)[1].tobytes()) == 400
    assert paint(b"", png_base64="???") == paint(b"", png_base64=None) == paint(b"\x89PNG\r\n\x1a\n") == 400
    assert page.ask(f"mask/{face}?name=nothing").status == page.ask("mask/99999?name=extended").status == 400


def test_a_frame_of_a_video_is_the_one_of_its_index(page: Page) -> None:
    ids = {face["frame"]: face["id"] for face in page.faces(by="source", of=CLIP)}
    for index in (7, 0, 11, 6):
        told = page.get(f"api/frame?face={ids[index]}")
        assert told["frame"] == index
        picture = page.ask(f"frame/{told['source_id']}/{index}?size=4096")
        assert read_number(decoded(picture.body)) == index


def test_a_part_of_a_frame_has_the_pixels_of_the_frame(page: Page, made: Path) -> None:
    source = page.get(f"api/frame?face={page.faces(by='source', of='bob.png')[0]['id']}")["source_id"]
    frame = decoded((made.parent / "in" / "bob.png").read_bytes())
    part = decoded(page.ask(f"frame/{source}/0?part=40,30,140,90&size=4096").body)
    assert np.abs(part.astype(int) - frame[30:90, 40:140]).mean() < 3
    edge = decoded(page.ask(f"frame/{source}/0?part=-9,300,99999,99999&size=64").body)
    assert edge.shape == (8, 64, 3)


def test_one_goes_from_frame_to_frame_with_faces_and_back(page: Page) -> None:
    at = page.get(f"api/frame?face={page.faces(by='all')[0]['id']}")
    way = [(at["source"], at["frame"])]
    while at["after"]:
        at = page.get("api/frame?source={}&frame={}".format(*at["after"]))
        way.append((at["source"], at["frame"]))
    assert way == sorted({(face["source"], face["frame"]) for face in page.faces(by="all")})
    back = [(at["source"], at["frame"])]
    while at["before"]:
        at = page.get("api/frame?source={}&frame={}".format(*at["before"]))
        back.append((at["source"], at["frame"]))
    assert back == way[::-1]


def test_a_sheet_has_the_chips_of_a_list_side_by_side(page: Page) -> None:
    listing = page.get("api/list?by=all&sort=quality")["listing"]
    some = page.get(f"api/rows?listing={listing}&first=4&count=5")["faces"]
    page.say(verb="landmarks", faces=[some[1]["id"]], landmarks=(MEAN_FACE * 20 + 100).tolist())
    sheet = decoded(page.ask(f"sheet/{listing}?first=4&count=6&across=3&size=32").body)
    tiles = [sheet[y : y + 32, x : x + 32].astype(int) for y in (0, 32) for x in (0, 32, 64)]
    for place in (0, 2, 3, 4):
        alone = decoded(page.ask(f"chip/{some[place]['id']}?size=32").body)
        assert np.abs(tiles[place][4:-4, 4:-4] - alone[4:-4, 4:-4]).mean() < 12  # as far as JPEG goes, on noise
    assert np.abs(tiles[1][8:-8, 8:-8] - 128).max() < 40  # its chip shows another square than it should
    assert page.ask("sheet/0123?first=0&count=6").status == 410


def test_a_list_stays_as_it_is_whatever_is_said_of_its_faces(page: Page, folder: Path) -> None:
    listing = page.get("api/list?by=person&of=person%201&sort=quality")["listing"]
    before = page.get(f"api/rows?listing={listing}&count=60")["faces"]
    page.say(verb="assign", person="Eve", listing=listing, ranges=[[0, 2]])
    page.say(verb="reject", listing=listing, ranges=[[1, 1]])
    faceloom.corrections(folder).note("{}#{}/{}".format(*key(before[4])), "from elsewhere")
    after = page.get(f"api/rows?listing={listing}&count=60")["faces"]
    assert [face["id"] for face in after] == [face["id"] for face in before]
    assert [face["person"] for face in after[:4]] == ["Eve"] * 3 + ["person 1"]
    assert after[1]["rejected"] == "hand"
    assert after[4]["notes"] == ["from elsewhere"]


def test_a_list_of_a_server_that_is_no_more_is_gone(page: Page) -> None:
    assert page.ask("api/rows?listing=0123&first=0&count=5").status == 410
    assert page.ask("api/say", {"verb": "reject", "listing": "0123", "ranges": [[0, 1]]}).status == 410


def test_what_was_said_is_undone_and_said_again_by_its_number(page: Page, folder: Path) -> None:
    before = faceloom.export(folder)
    page.say(verb="merge", person="person 1", persons=["person 2"])
    page.say(verb="name", person="person 1", name="Ann")
    merged = faceloom.export(folder)
    page.say(verb="undo", numbers=[1])
    assert [(one["id"], one["verb"], one["undone"]) for one in page.get("api/history")["corrections"]] == [
        (2, "name", False),
        (1, "merge", True),
    ]
    page.say(verb="redo", numbers=[1])
    assert faceloom.export(folder) == merged
    page.say(verb="undo")
    page.say(verb="undo")
    assert faceloom.export(folder) == before
    assert page.ask("api/say", {"verb": "undo"}).status == 400


def test_another_command_and_another_run_are_seen(page: Page, folder: Path) -> None:
    first = page.get("api/state")
    faceloom.corrections(folder).name("person 1", "Ann")
    second = page.get("api/state")
    assert second["version"] != first["version"]
    assert not second["running"]
    with locked(folder):
        assert is_held(folder)
        assert page.get("api/state")["running"]
        page.say(verb="reject", faces=[page.faces(by="all")[0]["id"]])  # beside the run, whose commits it waits for
    assert not page.get("api/state")["running"]
    assert page.get("api/state")["rejected"] == 1


def test_plots_count_the_faces_that_lists_of_their_ranges_have(page: Page) -> None:
    page.say(verb="reject", faces=[page.faces(by="all")[0]["id"]])
    told = page.get("api/looks")
    plots = {plot["name"]: plot for plot in told["plots"]}
    assert told["total"] == ALL - 1
    assert {sum(plot["all"]) for plot in plots.values()} == {ALL - 1}
    edges = plots["quality"]["edges"]
    for first, end in ((0, 5), (3, 17), (10, 26)):
        ranges = f"quality:{edges[first]}:{edges[end]},yaw:-10:90"
        now = page.get(f"api/looks?ranges={ranges}")
        some = page.faces(by="all", ranges=ranges, rejected="0")
        assert len(some) == now["total"]
        assert all(edges[first] - 1e-4 <= face["quality"] <= edges[end] + 1e-4 and face["yaw"] >= -10 for face in some)
        (quality,) = (plot for plot in now["plots"] if plot["name"] == "quality")
        assert sum(quality["now"][first:end]) == pytest.approx(now["total"], abs=1)  # an edge is of two bins
        assert sum(quality["now"]) == len([f for f in page.faces(by="all", rejected="0") if f["yaw"] >= -10])
    assert page.ask("api/list?ranges=beauty:0:1").status == page.ask("api/looks?ranges=quality:a:b").status == 400


def test_problems_are_counted_and_frames_that_failed_have_their_reason(page: Page) -> None:
    told = page.get("api/problems")
    for problem in told["faces"]:
        assert problem["count"] == len(page.faces(by="problem", of=problem["name"]))
    assert [(frame["source"], frame["reason"]) for frame in told["frames"]] == [("broken.jpg", "this is no picture")]


def test_nothing_of_the_disk_has_an_address_but_what_the_page_is_made_of(page: Page, folder: Path) -> None:
    (folder.parent / "secret.jpg").write_bytes((folder / page_chip(folder, 1)).read_bytes())
    for path in ("../secret.jpg", "..%2f..%2fetc/passwd", "chip/..%2f1", "chip/../review.css", "chips/", "reviewed.py"):
        assert page.ask(path).status == 404
    for told in ("../secret.jpg", "/etc/passwd", str(folder.parent / "secret.jpg"), "chips/../../secret.jpg"):
        with sqlite3.connect(folder / "faceloom.sqlite") as db:
            db.execute("UPDATE face SET chip = ? WHERE id = 1", (told,))
        db.close()
        assert page.ask("chip/1").status == 503
    (folder / "chips" / "link.jpg").symlink_to(folder.parent / "secret.jpg")
    with sqlite3.connect(folder / "faceloom.sqlite") as db:
        db.execute("UPDATE face SET chip = 'chips/link.jpg' WHERE id = 1")
    db.close()
    assert page.ask("chip/1").status == 503
    assert page.ask("chip/2").status == 200


def page_chip(folder: Path, face: int) -> str:
    with sqlite3.connect(folder / "faceloom.sqlite") as db:
        (chip,) = db.execute("SELECT chip FROM face WHERE id = ?", (face,)).fetchone()
    db.close()
    return str(chip)


def test_every_answer_forbids_whatever_the_page_does_not_need(page: Page) -> None:
    answers = [page.ask(path) for path in ("", "main.js", "api/state", "chip/1", "chip/999", "nowhere")]
    answers += [page.ask("api/state", token="wrong"), page.ask("api/state", host="evil.example:8765")]
    assert [one.status for one in answers] == [200, 200, 200, 200, 400, 404, 403, 403]
    for one in answers:
        assert "default-src 'none'; script-src 'self'" in one.headers["content-security-policy"]
        assert one.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in one.headers
    assert page.ask("api/say", {"verb": "undo"}, origin="http://evil.example").status == 403
    assert page.ask("api/say", ["verb"]).status == 400


def test_every_file_of_the_page_is_there_and_names_no_other_place(page: Page) -> None:
    files = [path.name for path in (Path(server.__file__).parent / "page").iterdir()]
    assert len(files) > 10
    for name in ("", *files):
        if name == "index.html":  # which is the page itself
            continue
        answered = page.ask(name)
        assert answered.status == 200
        text = answered.body.decode().replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text
        assert "innerHTML" not in text


def test_faces_that_do_not_fit_into_the_memory_are_refused_with_what_would_do(folder: Path) -> None:
    with pytest.raises(BudgetError) as caught:
        Page(folder, budget_bytes=64 << 20)
    assert caught.value.needed_bytes > 64 << 20


def test_a_damaged_frame_and_one_that_is_gone_are_told_in_words(page: Page, folder: Path) -> None:
    told = page.get("api/problems")["frames"][0]
    answered = page.ask(f"frame/{told['source_id']}/{told['frame']}")
    assert (answered.status, "picture" in answered.json["error"]) == (422, True)
    assert page.ask("frame/1/999").status == 400
    assert page.ask("frame/1/0?part=NaN,0,1,2").status == page.ask("frame/1/0?part=1,2").status == 400
    assert page.ask("api/frame?face=99999").status == 400


def test_others_are_let_in_only_with_a_password(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["review", str(folder), "--host", "0.0.0.0", "--no-browser"]) == 2
    assert "--password" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["review", str(folder), "--port", port, "--no-browser"]) == 2
    assert "--port" in capsys.readouterr().err


def test_a_page_without_the_extra_says_how_to_get_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["review", str(folder), "--no-browser"]) == 2
    assert "faceloom[review]" in capsys.readouterr().err


def test_of_what_was_acknowledged_nothing_is_lost_when_the_server_is_killed(folder: Path) -> None:
    command = module_command("faceloom", "review", str(folder), "--no-browser")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=module_environment()) as process:
        assert process.stdout
        address = process.stdout.readline().strip()
        acknowledged: list[int] = []
        enough = threading.Event()

        def burst() -> None:
            with suppress(OSError, ValueError):  # the server is gone
                for number in range(1000):
                    told = {"verb": "note", "faces": [number % ALL + 1], "text": f"note {number}"}
                    acknowledged.extend(posted(f"{address}api/say", told)["corrections"])
                    if number == 12:
                        enough.set()

        thread = threading.Thread(target=burst)
        thread.start()
        assert enough.wait(60)
        process.send_signal(signal.SIGKILL)
        thread.join(60)
    kept = {said.id for said in faceloom.corrections(folder)}
    assert len(acknowledged) > 12
    assert set(acknowledged) <= kept


def posted(address: str, told: Any) -> Any:
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(address, json.dumps(told).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())
