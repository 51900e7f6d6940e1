"""Random corrections, undone and said again in random order, against a model that knows nothing of their tables."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from faceloom.correcting import Corrections, corrections
from faceloom.errors import RequestError
from faceloom.results.exporting import export
from faceloom.results.results import open as open_results
from faceloom.store.corrections import Correction
from faceloom.store.persons import read_embeddings, write_persons
from faceloom.store.reading import read_faces
from store.made_results import write_media, write_result

EVERY = 20
"""Steps between comparisons, which read everything."""
PLACES = [f"deep/crowd.jpg#0/{i}" for i in range(12)] + [f"walk.mp4#{i}/0" for i in range(3)]
PLACES += ["bob.png#0/0", "ann_in_july.png#0/0"]
NAMES = ["Ann", "Bob", "Eve", "person 1", "person 2", "person 3", "person 4"]
ADDED = [f"bob.png#0/{i}" for i in range(1, 4)]
"""Where faces come to be that are added."""
places = st.sampled_from(PLACES)
several = st.lists(places, min_size=1, max_size=4, unique=True)
two_or_more = st.lists(places, min_size=2, max_size=4, unique=True)
names = st.sampled_from(NAMES)
State = dict[str, dict[str, Any]]


def model(found: State, said: list[Correction]) -> State:
    """What holds of every face, by going through all that was said with plain assignments."""
    now = {place: dict(face) for place, face in found.items()}
    for one in said:
        if one.is_undone:
            continue
        faces = [now[str(face)] for face in one.faces if str(face) in now]  # of one that was added only while it is
        match one.verb.value:
            case "name" | "merge":
                for face in now.values():
                    if face["person"] in one.persons:
                        face["person"] = one.after
            case "assign" | "split":
                for face in faces:
                    face["person"] = one.after
            case "same":
                them = [face["person"] for face in faces if face["person"] is not None]
                for face in [*faces, *now.values()] if them else []:
                    if face["person"] in them or any(face is other for other in faces):
                        face["person"] = them[0]
            case "different":
                for i, face in enumerate(faces):
                    if face["person"] in [other["person"] for other in faces[:i]]:
                        face["person"] = None
            case "reject":
                for face in faces:
                    face["rejected"] = "hand" if one.after is None else f"hand: {one.after}"
            case "restore":
                for face in faces:
                    face["rejected"] = None
            case "add":
                (new,) = one.faces
                now[str(new)] = {"person": None, "rejected": None, "box": list(new.box), "landmarks": None}
            case "box" | "landmarks":
                for face in faces:
                    face[one.verb.value] = one.after
    return now


class Correcting(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        made = write_result(write_media(self.folder / "in"), self.folder / "out")
        ids, _ = read_embeddings(self.folder / "out")
        write_persons(self.folder / "out", ids[:-2], [f"person {i % 3 + 1}" for i in range(len(ids) - 2)])
        self.said: Corrections = corrections(self.folder / "out")
        self.raw = export(self.folder / "out")
        self.landmarks = made[0].landmarks
        self.found = self.look(raw=True)
        self.steps = 0
        self.random = np.random.default_rng(5)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.compare()
            shutil.rmtree(self.folder)

    def look(self, *, raw: bool) -> State:
        with open_results(self.folder / "out", raw=raw) as results:
            return {
                f"{face.frame}/{face.index}": {
                    "person": face.person or None,
                    "rejected": face.rejected,
                    "box": face.box.tolist(),
                    "landmarks": None if face.landmarks is None else face.landmarks.tolist(),
                }
                for face in results.faces(rejected=True)
            }

    def tried(self, say: Callable[[], Any]) -> None:
        try:
            say()
        except RequestError:
            return

    @rule(person=names, name=names)
    def name(self, person: str, name: str) -> None:
        self.tried(lambda: self.said.name(person, name))

    @rule(person=names, others=st.lists(names, min_size=1, max_size=2, unique=True))
    def merge(self, person: str, others: list[str]) -> None:
        self.tried(lambda: self.said.merge(person, [one for one in others if one != person]))

    @rule(faces=several, person=st.one_of(names, st.none()))
    def assign(self, faces: list[str], person: str | None) -> None:
        self.said.assign(faces, person)

    @rule(faces=several, name=st.one_of(names, st.none()))
    def split(self, faces: list[str], name: str | None) -> None:
        self.tried(lambda: self.said.split(faces, name))

    @rule(faces=two_or_more, alike=st.booleans())
    def pairs(self, faces: list[str], alike: bool) -> None:
        (self.said.same if alike else self.said.different)(faces)

    @rule(faces=several, reason=st.sampled_from([None, "a poster"]), wanted=st.booleans())
    def reject_or_restore(self, faces: list[str], reason: str | None, wanted: bool) -> None:
        self.said.restore(faces) if wanted else self.said.reject(faces, reason)

    @rule(face=places, x=st.integers(0, 90))
    def box(self, face: str, x: int) -> None:
        self.said.move_box(face, [x, 10, x + 30.5, 50])

    @rule(face=places)
    def landmarks_(self, face: str) -> None:
        self.said.move_landmarks(face, self.random.random((68, 2), np.float32) * 300)

    @rule(x=st.integers(0, 5))
    def add(self, x: int) -> None:
        self.tried(lambda: self.said.add("bob.png", [500 + 50 * x, 10, 530 + 50 * x, 50]))

    @rule(face=st.sampled_from(ADDED), name=names)
    def assign_an_added_face(self, face: str, name: str) -> None:
        self.tried(lambda: self.said.assign([face], name))

    @rule(face=st.sampled_from(ADDED), x=st.integers(0, 90))
    def move_an_added_face(self, face: str, x: int) -> None:
        self.tried(lambda: self.said.move_box(face, [x, 60, x + 30.5, 90]))

    @rule(face=places)
    def note(self, face: str) -> None:
        self.said.note(face, "look again")

    @precondition(lambda self: len(self.said) > 0)
    @rule(data=st.data(), again=st.booleans())
    def undo_or_redo(self, data: st.DataObject, again: bool) -> None:
        there = [one.id for one in self.said if one.is_undone == again]
        if there:
            chosen = data.draw(st.lists(st.sampled_from(there), min_size=1, max_size=3, unique=True))
            (self.said.redo if again else self.said.undo)(*chosen)

    @rule(again=st.booleans())
    def undo_the_last(self, again: bool) -> None:
        self.tried(self.said.redo if again else self.said.undo)

    @invariant()
    def holds(self) -> None:
        self.steps = getattr(self, "steps", 0) + 1
        if self.steps % EVERY == 0:
            self.compare()

    def compare(self) -> None:
        assert self.look(raw=False) == model(self.found, list(self.said))
        assert self.look(raw=True) == self.found


TestCorrecting = Correcting.TestCase
TestCorrecting.settings = settings(
    stateful_step_count=500,
    max_examples=1,
    derandomize=False,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)


def test_raw_reads_what_was_found_byte_for_byte(tmp_path: Path) -> None:
    write_result(write_media(tmp_path / "in"), tmp_path / "out")
    before = export(tmp_path / "out")
    said = corrections(tmp_path / "out")
    said.assign(PLACES[:3], "Ann")
    said.reject(PLACES[4])
    said.move_box(PLACES[5], [1, 2, 30, 40])
    assert export(tmp_path / "out", raw=True) == before
    assert len(list(read_faces(tmp_path / "out"))) == len(before.splitlines()) - 1
    said.undo(1, 2, 3)
    assert export(tmp_path / "out") == before
