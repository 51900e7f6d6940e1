"""Shards and lists in real runs: several machines together find what one finds."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from faceloom.api import extract
from faceloom.cli.main import main
from faceloom.errors import RequestError
from faceloom.grouping import group
from faceloom.store.merging import merge
from faceloom.store.reading import read_frames
from faceloom.store.summary import read_summary
from identify_stand_ins import write_sface
from jobs import exported, files_below
from reliability.kill_fuzz import write_media

pytestmark = pytest.mark.slow
COUNTS = range(1, 6) if "FACELOOM_LONG" in os.environ else (3,)


@pytest.fixture(scope="module")
def media(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures and videos, whole, cut off and broken, a link to one of them, and a text."""
    folder = write_media(samples, tmp_path_factory.mktemp("job") / "media")
    (folder / "b/link.jpg").symlink_to("../crowd.jpg")
    (folder / "notes.txt").write_text("nothing to see")
    return folder


@pytest.fixture(scope="module")
def options(media: Path) -> dict[str, object]:
    weights = {"identify/sface": write_sface(media.parent / "sface.onnx")}
    return {"size": 64, "identify": "sface", "weights": weights, "overlay": True}


@pytest.fixture(scope="module")
def whole(media: Path, options: dict[str, object]) -> Path:
    extract(media, media.parent / "whole", **options)  # type: ignore[arg-type]
    return media.parent / "whole"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("count", COUNTS)
def test_shards_merge_to_what_one_run_finds(
    count: int, media: Path, options: dict[str, object], whole: Path, tmp_path: Path
) -> None:
    shards = [tmp_path / str(number) for number in range(1, count + 1)]
    for number, shard in enumerate(shards, start=1):
        extract(media, shard, shard=f"{number}/{count}", threads=1 + number % 2, **options)  # type: ignore[arg-type]
    merge(shards, tmp_path / "out")
    for frames in (False, True):
        assert digest(exported(tmp_path / "out", frames=frames)) == digest(exported(whole, frames=frames))
    assert files_below(tmp_path / "out") == files_below(whole)
    one, other = read_summary(tmp_path / "out"), read_summary(whole)
    assert [one[key] for key in ("sources", "passed_over", "rejected", "masks", "config")] == [
        other[key] for key in ("sources", "passed_over", "rejected", "masks", "config")
    ]


def test_the_same_command_goes_on_with_what_was_merged_and_persons_are_the_same(
    media: Path, options: dict[str, object], whole: Path, tmp_path: Path
) -> None:
    for number in (1, 2):
        extract(media, tmp_path / str(number), shard=f"{number}/2", **options)  # type: ignore[arg-type]
        group(tmp_path / str(number), threshold=0.5)
    merge([tmp_path / "1", tmp_path / "2"], tmp_path / "out")
    shutil.copytree(whole, tmp_path / "whole")
    assert group(tmp_path / "out", threshold=0.5) == group(tmp_path / "whole", threshold=0.5)
    assert exported(tmp_path / "out") == exported(tmp_path / "whole")
    chip = min((tmp_path / "out/chips").rglob("*.jpg"))
    chip.unlink()
    summary = extract(media, tmp_path / "out", **options)  # type: ignore[arg-type]
    assert summary.outcome == "done"
    assert files_below(tmp_path / "out") == files_below(whole)
    assert exported(tmp_path / "out") == exported(tmp_path / "whole")


def test_a_folder_is_one_shard_and_no_other(samples: Path, tmp_path: Path) -> None:
    extract(samples, tmp_path / "out", shard="1/2", size=64, align="none")
    for shard in ("2/2", "1/3", None):
        with pytest.raises(RequestError, match='shard: "1/2" in the folder'):
            extract(samples, tmp_path / "out", shard=shard, size=64, align="none")


def test_a_shard_in_which_nothing_is_is_done(samples: Path, tmp_path: Path) -> None:
    shards = [tmp_path / str(number) for number in range(1, 10)]
    for number, shard in enumerate(shards, start=1):
        command = ["extract", str(samples / "crowd.jpg"), "--out", str(shard), "--shard", f"{number}/9"]
        assert main([*command, "--align", "none", "--quiet"]) == 0
    assert sum(bool(exported(shard, frames=True)) for shard in shards) == 1
    merge(shards, tmp_path / "out")
    assert exported(tmp_path / "out", frames=True).count("\n") == 1


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b"])
def test_a_shard_that_is_none_is_refused_before_anything_is_done(shard: str, samples: Path, tmp_path: Path) -> None:
    assert main(["extract", str(samples), "--out", str(tmp_path / "out"), "--shard", shard]) == 2
    assert not (tmp_path / "out").exists()


def test_names_in_a_file_of_faces_are_not_matched_within_a_shard(samples: Path, tmp_path: Path) -> None:
    (tmp_path / "faces.jsonl").write_text("")
    with pytest.raises(RequestError, match="without --shard"):
        extract(samples, tmp_path / "out", detect="import", from_=tmp_path / "faces.jsonl", shard="1/2")


def test_a_list_is_done_like_a_folder(samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extract(samples, tmp_path / "folder", size=64)
    monkeypatch.chdir(samples)
    (tmp_path / "list").write_text("".join(f"{path.name}\n" for path in sorted(samples.iterdir())))
    extract((), tmp_path / "list-out", from_list=tmp_path / "list", size=64)
    assert exported(tmp_path / "list-out") == exported(tmp_path / "folder")
    assert files_below(tmp_path / "list-out") == files_below(tmp_path / "folder")


def test_a_list_from_a_pipe_names_files_and_what_is_not_there_is_a_row(samples: Path, tmp_path: Path) -> None:
    (tmp_path / "odd\nname.png").write_bytes((samples / "portrait.png").read_bytes())
    content = b"\0".join(map(os.fsencode, [tmp_path / "odd\nname.png", tmp_path / "gone.jpg", samples / "clip.mp4"]))
    command = [sys.executable, "-m", "faceloom.cli.main", "extract", "--from-list", "-", "-0"]
    command += ["--out", str(tmp_path / "out"), "--every", "10", "--align", "none", "--quiet"]
    done = subprocess.run(command, input=content, capture_output=True, check=False)
    assert done.returncode == 1, done.stderr
    rows = {row["source"]: (row["status"], row["reason"]) for row in read_frames(tmp_path / "out")}
    below = str(tmp_path).lstrip("/")
    assert rows == {
        f"{below}/odd\\nname.png": ("done", None),
        f"{below}/gone.jpg": ("failed", "there is no such file"),
        f"{str(samples).lstrip('/')}/clip.mp4": ("done", None),
    }


def test_what_was_found_in_a_file_that_is_gone_stays(samples: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes((samples / "portrait.png").read_bytes() + name.encode())
    (tmp_path / "list").write_text(f"{tmp_path / 'a.png'}\n{tmp_path / 'b.png'}\n")
    extract((), tmp_path / "out", from_list=tmp_path / "list", size=64)
    before = exported(tmp_path / "out"), files_below(tmp_path / "out")
    (tmp_path / "a.png").rename(tmp_path / "away.png")
    assert extract((), tmp_path / "out", from_list=tmp_path / "list", size=64).failed == 0
    assert (exported(tmp_path / "out"), files_below(tmp_path / "out")) == before
    (tmp_path / "away.png").rename(tmp_path / "a.png")
    extract((), tmp_path / "out", from_list=tmp_path / "list", size=64)
    assert (exported(tmp_path / "out"), files_below(tmp_path / "out")) == before


def test_a_file_that_comes_after_its_list_is_done(samples: Path, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(f"{tmp_path / 'late.png'}\n")
    options = {"from_list": tmp_path / "list", "size": 64}
    assert extract((), tmp_path / "out", **options).failed == 1  # type: ignore[arg-type]
    shutil.copy(samples / "portrait.png", tmp_path / "late.png")
    summary = extract((), tmp_path / "out", **options)  # type: ignore[arg-type]
    assert (summary.failed, summary.faces) == (0, 1)


def test_nothing_to_do_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extract", "--out", str(tmp_path / "out")]) == 2
    assert "no inputs were named" in capsys.readouterr().err
    assert main(["extract", "--out", str(tmp_path / "out"), "--from-list", str(tmp_path / "none")]) == 2
    assert main(["extract", str(tmp_path), "--out", str(tmp_path / "out"), "-0"]) == 2
    assert not (tmp_path / "out").exists()
