"""What we parse ourselves, on damage of every kind: our own errors or an answer, and nothing else.

Single damaged bytes and short files are in tests/models and tests/solver; here pieces are moved, doubled and left out.
"""

import io
import json
import sqlite3
import string
from collections.abc import Callable
from contextlib import closing
from functools import partial
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import prepared
from faceloom.choices import ChipFormat
from faceloom.errors import MediaError, RequestError, StoreError, WeightsError
from faceloom.formats.registry import formats
from faceloom.media.chip_files import encode_chip, read_chip_metadata
from faceloom.memory.footprints import Footprint, FootprintCache
from faceloom.models.catalog import CATALOG, read_catalog
from faceloom.models.tflite import to_onnx
from faceloom.models.weights import WeightCache
from faceloom.store.exports import export
from faceloom.store.store import Store
from faceloom.store.summary import read_summary
from faceloom.units import parse_bytes
from media.picture_files import shaded

_TAIL = 40_000
"""Bytes at the end of a .tflite file in which its tables lie."""
edits = st.lists(
    st.tuples(st.sampled_from(["flip", "blank", "move", "double", "drop"]), st.floats(0, 1), st.integers(1, 64)),
    min_size=1,
    max_size=6,
)
shared_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def edited(content: bytes, changes: list[tuple[str, float, int]]) -> bytes:
    """Content in which pieces were flipped, blanked, put elsewhere, doubled or left out."""
    for kind, where, length in changes:
        at = int(where * max(0, len(content) - length))
        before, piece, after = content[:at], content[at : at + length], content[at + length :]
        piece = {
            "flip": bytes(byte ^ 0xFF for byte in piece),
            "blank": bytes(len(piece)),
            "move": piece[::-1],
            "double": piece * 2,
            "drop": b"",
        }[kind]
        content = before + piece + after
    return content


@pytest.fixture(scope="module")
def lite(cache: WeightCache) -> bytes:
    """A real network whose file we convert."""
    prepared(cache, "facemesh")  # skips where it cannot be had
    return cache.pull(CATALOG["facemesh"]).read_bytes()


@settings(max_examples=150)
@given(edits)
def test_a_lite_file_with_pieces_astray_is_converted_or_refused(
    lite: bytes, changes: list[tuple[str, float, int]]
) -> None:
    try:
        to_onnx(lite[:-_TAIL] + edited(lite[-_TAIL:], changes), name="network")
    except WeightsError:
        return


@settings(max_examples=40)
@given(st.integers(0, 2_000))
def test_a_lite_file_that_was_cut_off_is_converted_or_refused(lite: bytes, missing: int) -> None:
    try:
        to_onnx(lite[: len(lite) - missing], name="network")
    except WeightsError:
        return


@given(edits)
def test_our_catalog_with_pieces_astray_is_read_or_refused(changes: list[tuple[str, float, int]]) -> None:
    text = resources.files("faceloom.models").joinpath("catalog.toml").read_bytes()
    try:
        entries = read_catalog(edited(text, changes).decode(errors="replace"))
    except WeightsError:
        return
    assert all(len(entry.sha256) == 64 and isinstance(entry.size_bytes, int) for entry in entries.values())


@pytest.mark.parametrize("chip_format", list(ChipFormat))
@shared_folder
@given(changes=edits)
def test_a_damaged_chip_file_has_its_metadata_or_is_refused(
    tmp_path: Path, chip_format: ChipFormat, changes: list[tuple[str, float, int]]
) -> None:
    path = tmp_path / f"chip.{chip_format}"
    path.write_bytes(edited(encode_chip(shaded(16, 16), chip_format, {"source": "a.jpg", "frame": 3}), changes))
    try:
        assert isinstance(read_chip_metadata(path), dict)
    except MediaError:
        return


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@shared_folder
@given(values=json_values)
def test_a_footprint_file_of_any_content_is_a_footprint_or_none(tmp_path: Path, values: object) -> None:
    cache = FootprintCache(folder=tmp_path)
    path = cache._path({"stage": "detect/a"})
    for content in (values, {"footprint": values}):
        path.write_text(json.dumps(content), encoding="utf-8")
        assert cache.find({"stage": "detect/a"}) is None


FOOTPRINT = Footprint(
    weights_bytes=1,
    load_spike=1.0,
    load_s=0.1,
    fixed_bytes=2,
    item_bytes=3,
    batch_s={1: 0.1},
    arena_fixed_bytes=2,
    arena_item_bytes=3,
    transient_bytes=4,
    process_bytes=5,
    start_s=0.1,
    switch_s=0.1,
)


@shared_folder
@given(field=st.sampled_from(sorted(FOOTPRINT.to_json())), value=json_values)
def test_a_footprint_with_a_field_of_any_content_is_a_footprint_or_none(
    tmp_path: Path, field: str, value: object
) -> None:
    cache = FootprintCache(folder=tmp_path)
    content = {"footprint": {**FOOTPRINT.to_json(), field: value}}
    cache._path({"stage": "detect/a"}).write_text(json.dumps(content), encoding="utf-8")
    found = cache.find({"stage": "detect/a"})
    assert found is None or isinstance(found.batch_s, dict)


@given(st.text(string.digits + string.ascii_letters + " .,-+eE", max_size=12))
def test_any_text_is_a_size_or_refused(text: str) -> None:
    try:
        assert isinstance(parse_bytes(text), int)
    except ValueError:
        return


@pytest.fixture(scope="module")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store") / "out"
    with Store(folder) as store:
        store.configuration.use({"results": 1})
        store.begin_run(versions={})
    with closing(sqlite3.connect(folder / "faceloom.sqlite")) as db, db:
        for i in range(40):
            db.execute(
                "INSERT INTO source (name, path, kind, size_bytes, mtime_ns, run_id, time_base)"
                " VALUES (?, ?, 'picture', 1, 1, 1, '1/25')",
                (f"{i}.jpg", f"{i}.jpg".encode()),
            )
            db.execute("INSERT INTO frame (source_id, idx, status, ticks) VALUES (?, 0, 'done', 5)", (i + 1,))
            db.execute(
                "INSERT INTO face (source_id, frame_idx, idx, x0, y0, x1, y1, score, keypoints, landmarks, affine)"
                " VALUES (?, 0, 0, 1, 2, 3, 4, 0.5, ?, ?, ?)",
                (i + 1, bytes(40), bytes(544), bytes(48)),
            )
    return folder / "faceloom.sqlite"


TEXTS = [found.name for found in formats() if found.is_written and found.is_text and not found.is_folder]


@shared_folder
@given(
    changes=edits,
    asked=st.sets(st.sampled_from([*((to, False) for to in TEXTS), ("jsonl", True), ("csv", True)]), max_size=4),
)
def test_a_damaged_store_is_read_or_refused(
    tmp_path: Path, small_store: Path, changes: list[tuple[str, float, int]], asked: set[tuple[str, bool]]
) -> None:
    (tmp_path / "faceloom.sqlite").write_bytes(edited(small_store.read_bytes(), changes))
    reads: list[Callable[[], object]] = [partial(read_summary, tmp_path)]
    reads += [partial(exported_as, tmp_path, *how) for how in sorted(asked)]
    for read in reads:
        try:
            read()
        except (StoreError, RequestError):  # that of formats which need the size of a frame, where none is left
            continue


def exported_as(folder: Path, to: str, frames: bool) -> None:
    export(folder, io.StringIO(), to=to, frames=frames)
