import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faceloom.cli.main import main
from faceloom.errors import MediaError, StoreError
from faceloom.media import remote
from faceloom.store.checking import check
from faceloom.store.publishing import publish
from faceloom.store.store import Store
from jobs import exported, files_below
from store.made_results import write_media, write_result

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed here: it is in the extra 'remote'")


@pytest.fixture
def bucket() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


@pytest.fixture
def result(tmp_path: Path) -> Path:
    write_result(write_media(tmp_path / "media"), tmp_path / "out")
    return tmp_path / "out"


def fetched(bucket: Any, folder: Path) -> Path:
    """What is in the bucket, as a folder here."""
    for name in bucket.find("/faces"):
        path = folder / name.removeprefix("/faces/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bucket.cat_file(name))
    return folder


def test_what_is_published_is_the_folder(bucket: Any, result: Path, tmp_path: Path) -> None:
    published = publish(result, "memory://faces")
    copy = fetched(bucket, tmp_path / "copy")
    assert exported(copy) == exported(result)
    assert files_below(copy) == files_below(result)
    assert not check(copy).flaws
    assert published.files == len(files_below(result))
    assert published.store_bytes == (copy / "faceloom.sqlite").stat().st_size
    again = publish(result, "memory://faces")
    assert (again.files, again.known) == (0, published.files)


def test_a_folder_is_published_while_a_run_has_it(bucket: Any, result: Path, tmp_path: Path) -> None:
    with Store(result) as store:
        store.begin_run(versions={"faceloom": "0.1.0"})
        publish(result, "memory://faces")
    assert exported(fetched(bucket, tmp_path / "copy")) == exported(result)


def test_the_store_comes_after_the_files_that_it_names(
    bucket: Any, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "TRIES", 1)
    monkeypatch.setattr(remote, "FIRST_WAIT_S", 0.001)
    real = type(bucket).put_file
    put: list[str] = []

    def fails(system: Any, path: str, place: str, **options: Any) -> None:
        if len(put) == 9:
            raise OSError("503")
        put.append(place)
        real(system, path, place, **options)

    with monkeypatch.context() as patch:
        patch.setattr(type(bucket), "put_file", fails)
        with pytest.raises(MediaError, match="cannot be written: OSError: 503"):
            publish(result, "memory://faces")
    assert not bucket.exists("/faces/faceloom.sqlite")
    published = publish(result, "memory://faces")
    assert published.known >= 9
    assert published.files + published.known == len(files_below(result))


def test_a_chip_that_leads_out_is_not_published(bucket: Any, result: Path, tmp_path: Path) -> None:
    (tmp_path / "precious.jpg").write_bytes(b"irreplaceable")
    shutil.rmtree(result / "chips/bob.png")
    (result / "chips/bob.png").symlink_to(tmp_path)
    (tmp_path / "000000_0.jpg").write_bytes(b"irreplaceable too")
    with pytest.raises(StoreError, match="link"):
        publish(result, "memory://faces")
    assert not any(b"irreplaceable" in bucket.cat_file(name) for name in bucket.find("/faces"))


def test_the_command_says_what_was_copied(
    bucket: Any, result: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["publish", str(result), "memory://faces", "--quiet"]) == 0
    assert f"{len(files_below(result))} files, and the store" in capsys.readouterr().out
    assert main(["publish", str(tmp_path), "memory://faces", "--quiet"]) == 7
    assert main(["publish", str(result), "nosuch://faces", "--quiet"]) == 2
