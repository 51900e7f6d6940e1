"""The oracle is a matrix of all cosines."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.people.searching import GallerySearch
from faceloom.store.embeddings import EmbeddedFaces, read_embedded
from store.made_results import write_media, write_result


def unit(seed: int, count: int) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(count, 6))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def blocks(vectors: NDArray[np.float32], persons: list[str | None], size: int) -> Iterator[EmbeddedFaces]:
    for start in range(0, len(vectors), size):
        some = slice(start, start + size)
        ids = np.arange(len(vectors))[some] + 100
        yield EmbeddedFaces(ids=ids, embeddings=vectors[some], persons=persons[some])


@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 4), st.integers(1, 60), st.integers(1, 50))
def test_the_most_alike_are_those_of_a_full_comparison(
    seed: int, count: int, queries: int, most: int, size: int
) -> None:
    vectors, asked = unit(seed, count), unit(seed + 1, queries)
    random = np.random.default_rng(seed)
    persons = [random.choice(["Ann", "Bob", ""]) or None for _ in range(count)]
    halves = [(Path("a"), slice(0, count // 2)), (Path("b"), slice(count // 2, count))]
    search = GallerySearch(asked, most=most)
    for folder, half in halves:
        search.look_through(folder, blocks(vectors[half], persons[half], size))
    cosines = np.round(vectors @ asked.T, 4)
    places = [(folder, i + 100) for folder, half in halves for i in range(half.stop - half.start)]
    for query, answer in enumerate(search.answers()):
        wanted = sorted(range(count), key=lambda i: (-cosines[i, query], i))[:most]
        found = [(hit.folder, hit.face) for hit in answer.faces]
        scores = [hit.score for hit in answer.faces]
        np.testing.assert_allclose(scores, cosines[wanted, query], atol=1.1e-4)  # products may differ in a last bit
        if np.diff(np.sort(cosines[:, query])).min(initial=1) > 2e-4:
            assert found == [places[i] for i in wanted]
        means = {}
        for folder, half in halves:
            for person in ("Ann", "Bob"):
                own = [i for i in range(count)[half] if persons[i] == person]
                if own:
                    means[folder, person] = (cosines[own, query].mean(), len(own))
        assert {(hit.folder, hit.person): hit.faces for hit in answer.persons}.items() <= {
            key: number for key, (_, number) in means.items()
        }.items()
        best = sorted((mean for mean, _ in means.values()), reverse=True)[:most]
        np.testing.assert_allclose([hit.score for hit in answer.persons], best, atol=2e-4)


def test_equally_alike_faces_come_in_the_order_of_folders_and_rows() -> None:
    vector = unit(0, 1)
    search = GallerySearch(vector, most=3)
    for folder in ("a", "b"):
        search.look_through(Path(folder), blocks(np.repeat(vector, 2, axis=0), [None, None], 1))
    (answer,) = search.answers()
    assert [(hit.folder.name, hit.face) for hit in answer.faces] == [("a", 100), ("a", 101), ("b", 100)]


def test_a_folder_gives_its_faces_block_by_block(tmp_path: Path) -> None:
    faces = write_result(write_media(tmp_path / "in"), tmp_path / "out")
    found = list(read_embedded(tmp_path / "out", numbers=16))
    assert sum(len(block.ids) for block in found) == len(faces)
    embeddings = np.concatenate([block.embeddings for block in found])
    assert {row.tobytes() for row in embeddings} == {np.asarray(face.embedding).tobytes() for face in faces}
