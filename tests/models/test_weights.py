import hashlib
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from faceloom.errors import StageError, WeightsError
from faceloom.models import weights
from faceloom.models.made import sha256_of
from faceloom.models.weights import WeightCache, own_file
from onnx_files import endless, head, rewritable
from web import pinned_file, plain_opener, served

CONTENT = b"weights" * 100


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that has the folder `web`, in which `net.onnx` is true."""
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "net.onnx").write_bytes(CONTENT)
    monkeypatch.setattr(urllib.request, "_opener", plain_opener)
    with served(folder) as address:
        yield address


def empty_cache(tmp_path: Path, *mirrors: Path) -> WeightCache:
    return WeightCache(folder=tmp_path / "cache", mirrors=mirrors)


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_file_is_found_in_a_mirror_under_any_name(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "renamed.bin").write_bytes(CONTENT)
    found = empty_cache(tmp_path, tmp_path / "mirror").find(pinned_file(CONTENT))
    assert found == tmp_path / "mirror" / "renamed.bin"


def test_a_file_of_the_same_size_and_other_content_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(CONTENT[::-1])
    assert empty_cache(tmp_path, tmp_path).find(pinned_file(CONTENT)) is None


def test_mirrors_that_are_not_there_or_hold_odd_things_are_passed_over(tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    (odd / "folder").mkdir(parents=True)
    (odd / "broken-link").symlink_to(odd / "nothing")
    os.mkfifo(odd / "pipe")
    (odd / "z").write_bytes(CONTENT)
    cache = empty_cache(tmp_path, tmp_path / "nowhere", odd / "z", odd)
    assert cache.find(pinned_file(CONTENT)) == odd / "z"


def test_the_user_names_cache_and_mirrors_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACELOOM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FACELOOM_WEIGHTS", f"{tmp_path / 'a'}{os.pathsep}{os.pathsep}{tmp_path / 'b'}")
    assert WeightCache.of_user() == empty_cache(tmp_path, tmp_path / "a", tmp_path / "b")


def test_a_file_is_fetched_once(tmp_path: Path, web: str) -> None:
    cache, pinned = empty_cache(tmp_path), pinned_file(CONTENT, f"{web}/net.onnx")
    first = cache.pull(pinned)
    (tmp_path / "web" / "net.onnx").unlink()
    assert cache.pull(pinned) == first


def test_a_damaged_copy_in_the_cache_is_replaced(tmp_path: Path, web: str) -> None:
    cache, pinned = empty_cache(tmp_path), pinned_file(CONTENT, f"{web}/net.onnx")
    cache.pull(pinned).write_bytes(CONTENT[:-1] + b"?")
    assert cache.pull(pinned).read_bytes() == CONTENT


def test_the_next_place_is_tried_when_one_has_other_content(tmp_path: Path, web: str) -> None:
    (tmp_path / "web" / "bad.onnx").write_bytes(CONTENT[::-1])
    pinned = pinned_file(CONTENT, f"{web}/missing.onnx", f"{web}/bad.onnx", f"{web}/net.onnx")
    assert empty_cache(tmp_path).pull(pinned).read_bytes() == CONTENT


@pytest.mark.parametrize("content", [CONTENT[::-1], CONTENT[:-1], CONTENT + b"!", b""])
def test_other_content_is_refused_and_not_kept(tmp_path: Path, web: str, content: bytes) -> None:
    (tmp_path / "web" / "net.onnx").write_bytes(content)
    cache = empty_cache(tmp_path)
    with pytest.raises(WeightsError, match="other content"):
        cache.pull(pinned_file(CONTENT, f"{web}/net.onnx"))
    assert not files_in(cache.folder)


def test_weights_that_are_nowhere_say_where_they_were_looked_for_and_what_to_do(tmp_path: Path, web: str) -> None:
    with pytest.raises(WeightsError, match=rf"{web}/missing.*404.*FACELOOM_WEIGHTS") as caught:
        empty_cache(tmp_path).pull(pinned_file(CONTENT, f"{web}/missing"))
    assert caught.value.name == "net"


@pytest.mark.parametrize("part", ["", "files", "prepared"])
def test_a_cache_that_cannot_be_written_is_a_weights_error(tmp_path: Path, web: str, part: str) -> None:
    content = head().SerializeToString()
    (tmp_path / "web" / "net.onnx").write_bytes(content)
    blocked = tmp_path / "cache" / part
    blocked.parent.mkdir(exist_ok=True)
    blocked.touch()
    with pytest.raises(WeightsError, match="FACELOOM_CACHE"):
        empty_cache(tmp_path).prepare(pinned_file(content, f"{web}/net.onnx"))


def test_a_prepared_network_is_made_once(tmp_path: Path) -> None:
    content = head().SerializeToString()
    (tmp_path / "net").write_bytes(content)
    first = empty_cache(tmp_path, tmp_path).prepare(pinned_file(content))
    (tmp_path / "net").unlink()
    assert empty_cache(tmp_path).prepare(pinned_file(content)) == first


def test_a_damaged_prepared_network_is_made_again(tmp_path: Path) -> None:
    content = head().SerializeToString()
    (tmp_path / "net").write_bytes(content)
    cache = empty_cache(tmp_path, tmp_path)
    first = cache.prepare(pinned_file(content))
    true = first.read_bytes()
    first.write_bytes(true[:100] + bytes([true[100] ^ 1]) + true[101:])
    assert cache.prepare(pinned_file(content)).read_bytes() == true


def test_a_prepared_network_runs(tmp_path: Path) -> None:
    content = head().SerializeToString()
    (tmp_path / "net").write_bytes(content)
    path = empty_cache(tmp_path, tmp_path).prepare(pinned_file(content))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"image": np.ones((1, 3, 4, 5), np.float32)})
    assert output.shape == (1, 20, 2)


def test_a_file_that_cannot_be_converted_is_a_weights_error_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "net").write_bytes(CONTENT)
    with pytest.raises(WeightsError, match="not an ONNX file"):
        empty_cache(tmp_path, tmp_path).prepare(pinned_file(CONTENT))


def test_a_network_that_was_not_prepared_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "net").write_bytes(CONTENT)
    cache = empty_cache(tmp_path, tmp_path)
    with pytest.raises(WeightsError):
        cache.prepare(pinned_file(CONTENT))
    assert not files_in(cache.folder)


def test_a_digest_is_that_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_changed_prepared_network_is_made_again_whatever_it_is_called(tmp_path: Path) -> None:
    content = head().SerializeToString()
    (tmp_path / "net").write_bytes(content)
    cache = empty_cache(tmp_path, tmp_path)
    first = cache.prepare(pinned_file(content))
    true = first.read_bytes()
    stem = first.name.split(".")[0]
    for other in (true[:-1], true[:100] + bytes([true[100] ^ 1]) + true[101:], b""):
        first.unlink()
        # Under the name that says it is what it is.
        first.with_name(f"{stem}.{hashlib.sha256(other).hexdigest()[:16]}.onnx").write_bytes(other)
        assert cache.prepare(pinned_file(content)).read_bytes() == true


@pytest.mark.parametrize("note", ["", "[]", "[" * 9999, '{"file": "../net", "sha256": "%s"}', '{"file": "gone.onnx"}'])
def test_a_note_of_what_was_made_is_no_more_than_data(note: str, tmp_path: Path) -> None:
    content = head().SerializeToString()
    (tmp_path / "net").write_bytes(content)
    cache = empty_cache(tmp_path, tmp_path)
    first = cache.prepare(pinned_file(content))
    (written,) = first.parent.glob("*.json")
    (cache.folder / "net").write_bytes(content)
    written.write_text(note.replace("%s", hashlib.sha256(content).hexdigest()))
    assert cache.prepare(pinned_file(content)) == first


def test_processes_that_prepare_a_network_at_once_all_get_it_whole(tmp_path: Path) -> None:
    content = rewritable().SerializeToString()
    (tmp_path / "net").write_bytes(content)
    code = (
        "import sys, hashlib; from pathlib import Path; from faceloom.models.weights import WeightCache;"
        "from faceloom.stage import PinnedFile; content = Path(sys.argv[1]).read_bytes();"
        "cache = WeightCache(folder=Path(sys.argv[2]), mirrors=(Path(sys.argv[1]).parent,));"
        "pinned = PinnedFile(name='net', file='net.onnx', sha256=hashlib.sha256(content).hexdigest(),"
        " size_bytes=len(content), licence='', about='', places=(), dynamic=('batch',));"
        "path = cache.prepare(pinned); print(hashlib.sha256(path.read_bytes()).hexdigest())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "net"), str(tmp_path / "shared")]
    several = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert len({process.communicate()[0] for process in several}) == 1
    assert [process.returncode for process in several] == [0] * 4
    assert len(list((tmp_path / "shared/prepared").iterdir())) == 2  # the network and its note


def test_a_conversion_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "endless.onnx"
    path.write_bytes(endless().SerializeToString())
    monkeypatch.setattr(weights, "LIMIT_S", 5)
    pinned = own_file(path, pinned_file(CONTENT))
    started = time.monotonic()
    with pytest.raises(StageError, match="within 5 s"):
        empty_cache(tmp_path).prepare(pinned)
    assert time.monotonic() - started < 60
