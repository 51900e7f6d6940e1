"""Result folders of any number of faces, made of the rows of a real one: `python large_stores.py SEED OUT FACES N`.

Half of the faces are in videos of 2,500 frames with two faces each, half in pictures of one face; every Nth has a chip.
Rows are copies of the seed's in turn; embeddings are of synthetic people whose cosines, within a person and between
two, have the means and spreads of the seed's.
"""

import itertools
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import faceloom
from faceloom.choices import ChipFormat
from faceloom.faces import Image
from faceloom.media.chip_files import encode_chip, read_chip_metadata
from faceloom.store.columns import OF_FACES
from faceloom.store.database import connect, transaction
from faceloom.store.folder import DATABASE, file_name

FACES_OF_VIDEO = 5000
_FACES_OF_FRAME = 2
_FACES_OF_PERSON = 200
_BLOCK = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosines:
    """What cosines of embeddings are like, measured over known people."""

    same: float
    same_spread: float
    other: float
    other_spread: float
    numbers: int


def measured(people: list[str], embeddings: NDArray[np.float32]) -> Cosines:
    """Of all pairs of known people's embeddings."""
    first, second = np.triu_indices(len(people), k=1)
    cosines = (embeddings.astype(np.float64) @ embeddings.T)[first, second]
    is_same = np.array(people)[first] == np.array(people)[second]
    same, other = cosines[is_same], cosines[~is_same]
    return Cosines(
        same=float(same.mean()),
        same_spread=float(same.std()),
        other=float(other.mean()),
        other_spread=float(other.std()),
        numbers=embeddings.shape[1],
    )


def people_like(cosines: Cosines, *, faces: int, seed: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Blocks of people's numbers (B) and embeddings (B, D) of their faces, some people with far more than others.

    A face is a share of what all have in common, of its person and of itself. People lie in as few dimensions as make
    the spread of their cosines what was measured; the share that is a face's own varies as the cosines within do.
    """
    random = np.random.default_rng(seed)
    person_share = cosines.same - cosines.other
    dimensions = max(2, round((person_share / cosines.other_spread) ** 2))
    count = max(1, faces // _FACES_OF_PERSON)
    weights = 1 / np.arange(1, count + 1) ** 0.7
    common = np.zeros(cosines.numbers, np.float32)
    common[0] = 1
    middles = np.zeros((count, cosines.numbers), np.float32)
    middles[:, 1 : 1 + dimensions] = _units(random, (count, dimensions))
    for start in range(0, faces, _BLOCK):
        number = min(_BLOCK, faces - start)
        whose = random.choice(count, number, p=weights / weights.sum())
        # The cosine of a face with its person; that of two faces is the product of theirs.
        kept = random.normal(np.sqrt(person_share), cosines.same_spread / np.sqrt(2 * cosines.same), number)
        kept = np.clip(kept, 0.05, 0.97)[:, None]
        base = np.sqrt(max(cosines.other, 0))
        own = _units(random, (number, cosines.numbers))
        faces_of = base * common + kept * middles[whose] + np.sqrt(np.maximum(1 - base**2 - kept**2, 0.01)) * own
        yield whose, np.asarray(faces_of / np.linalg.norm(faces_of, axis=1, keepdims=True), np.float32)


def write_store(seed: Path, out: Path, *, faces: int, chip_every: int) -> None:
    """A result folder of so many faces, of so many of which one has a chip file."""
    out.mkdir(parents=True, exist_ok=True)
    shutil.copy(seed / DATABASE, out / DATABASE)
    known = _Seed.read(seed)
    places = _places(faces)
    with connect(out, read_only=False) as db, transaction(db):
        for table in ("face", "frame", "source", "drawn_mask", "mask", "chunk"):
            db.execute(f"DELETE FROM {table}")
        numbers = itertools.count(1)
        for whose, embeddings in people_like(known.cosines, faces=faces, seed=0):
            rows: dict[str, list[Any]] = {"source": [], "frame": [], "face": [], "drawn_mask": []}
            for person, embedding in zip(whose.tolist(), embeddings, strict=True):
                number, place = next(numbers), next(places)
                chip = known.write_chip(out, number, place) if number % chip_every == 0 else None
                known.add(rows, number, place, person=person, embedding=embedding.tobytes(), chip=chip)
            for table, some in rows.items():
                into = f"face (id, source_id, frame_idx, {OF_FACES})" if table == "face" else table
                if some:
                    db.executemany(f"INSERT INTO {into} VALUES ({', '.join('?' * len(some[0]))})", some)


def _places(faces: int) -> Iterator[tuple[int, str, int, int]]:
    """Number and name of the source, frame and index of each face."""
    videos = max(1, faces // 2 // FACES_OF_VIDEO)
    for face in range(faces):
        if face < videos * FACES_OF_VIDEO:
            video, number = divmod(face, FACES_OF_VIDEO)
            yield video + 1, f"videos/{video:05}.mp4", *divmod(number, _FACES_OF_FRAME)
        else:
            picture = face - videos * FACES_OF_VIDEO
            yield videos + 1 + picture, f"pictures/{picture // 1000:04}/{picture:07}.jpg", 0, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seed:
    """The rows of a real store."""

    cosines: Cosines
    sources: list[tuple[Any, ...]]
    frames: list[tuple[Any, ...]]
    faces: list[tuple[Any, ...]]
    masks: list[list[tuple[Any, ...]]]
    """Of each face."""
    chips: list[tuple[Image, Mapping[str, Any]]]

    @classmethod
    def read(cls, seed: Path) -> "_Seed":
        with faceloom.open(seed) as results:
            first = {face.frame.source: face for face in reversed(list(results))}
            chips: list[tuple[Image, Mapping[str, Any]]] = [
                (results.chip(face), read_chip_metadata(seed / str(face.chip))) for face in results
            ]
        people = [name.partition("/")[0] for name in first]
        embeddings = np.stack([np.asarray(face.embedding, np.float32) for face in first.values()])
        names = ", ".join(f"face.{name}" for name in OF_FACES.names)
        with connect(seed, read_only=True) as db:
            ordered = "FROM face JOIN source ON source.id = source_id ORDER BY name, frame_idx, idx"
            faces = db.execute(f"SELECT face.id, {names} {ordered}").fetchall()
            masks = [db.execute("SELECT * FROM drawn_mask WHERE face_id = ?", row[:1]).fetchall() for row in faces]
            return cls(
                cosines=measured(people, embeddings),
                sources=db.execute("SELECT * FROM source").fetchall(),
                frames=db.execute("SELECT * FROM frame").fetchall(),
                faces=faces,
                masks=masks,
                chips=chips,
            )

    def add(
        self,
        rows: Mapping[str, list[Any]],
        number: int,
        place: tuple[int, str, int, int],
        *,
        person: int,
        embedding: bytes,
        chip: str | None,
    ) -> None:
        """Adds the rows of a face, of its frame and of its source."""
        source, name, frame, index = place
        if frame == index == 0:
            told = list(self.sources[source % len(self.sources)])
            told[:4] = source, name, f"/nowhere/{name}".encode(), "video" if name.endswith("4") else "picture"
            rows["source"].append(told)
        if index == 0:
            ticks = frame * 512 if name.endswith("4") else None
            rows["frame"].append((source, frame, ticks, ticks, *self.frames[source % len(self.frames)][4:]))
        chosen = number % len(self.faces)
        cells = dict(zip(OF_FACES.names, self.faces[chosen][1:], strict=True))
        cells |= {"idx": index, "embedding": embedding, "person": f"person {person + 1}", "chip": chip}
        rows["face"].append((number, source, frame, *cells.values()))
        rows["drawn_mask"] += [(number, *mask[1:]) for mask in self.masks[chosen]]

    def write_chip(self, out: Path, number: int, place: tuple[int, str, int, int]) -> str:
        """Writes the chip of a face; its path below the folder."""
        _, name, frame, index = place
        image, metadata = self.chips[number % len(self.chips)]
        chip = f"chips/{file_name(name)}/{frame:06}_{index}.jpg"
        (out / chip).parent.mkdir(parents=True, exist_ok=True)
        told = {**metadata, "source": name, "frame": frame, "index": index}
        (out / chip).write_bytes(encode_chip(image, ChipFormat.JPG, told))
        return chip


def _units(random: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    vectors = random.standard_normal(shape, np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


if __name__ == "__main__":
    write_store(Path(sys.argv[1]), Path(sys.argv[2]), faces=int(sys.argv[3]), chip_every=int(sys.argv[4]))
