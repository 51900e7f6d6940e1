import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from faceloom.api import extract
from faceloom.errors import ContractError, MediaError, RequestError, StageError, StoreError
from faceloom.events import Event, Notice, Progress
from faceloom.models.weights import WeightCache
from faceloom.store.database import connect
from faceloom.store.summary import read_summary
from jobs import exported, files_below, installed_plugin

LONGEST_S = 60


@pytest.fixture(scope="module")
def media(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five chunks of work: pictures in nested folders, and the clip under several names."""
    folder = tmp_path_factory.mktemp("media")
    for name in ("a/clip.mp4", "b/clip.mp4", "b/c/clip.mp4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(samples / "clip.mp4", folder / name)
    for name in ("crowd.jpg", "a/portrait.png"):
        shutil.copy(samples / Path(name).name, folder / name)
    return folder


@pytest.fixture(scope="module")
def undisturbed(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    summary = extract(media, out, size=64)
    assert (summary.frames, summary.failed, summary.outcome) == (3 * 25 + 2, 0, "done")
    return out


def start(media: Path, out: Path) -> subprocess.Popen[bytes]:
    """The command in a process group of its own."""
    command = [sys.executable, "-m", "faceloom.cli.main", "extract", str(media), "--out", str(out), "--size", "64"]
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + LONGEST_S
    while not condition():
        assert process.poll() is None, "the run ended before it could be disturbed"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def frames_done(out: Path) -> int:
    try:
        return int(read_summary(out)["frames"]["done"])
    except StoreError:  # there is none yet
        return 0


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in children if b"faceloom.worker" in Path(f"/proc/{child}/cmdline").read_bytes()]


def children_of(process: subprocess.Popen[bytes]) -> list[bytes]:
    """What the process's children are called with."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [Path(f"/proc/{child}/cmdline").read_bytes() for child in children]


def same_results(one: Path, other: Path) -> bool:
    return (
        exported(one) == exported(other)
        and exported(one, frames=True) == exported(other, frames=True)
        and files_below(one) == files_below(other)
    )


def test_killed_at_any_time_the_same_command_ends_with_the_same_results(
    media: Path, undisturbed: Path, tmp_path: Path
) -> None:
    for least_done in (0, 1, 20, 40):
        process = start(media, tmp_path / "out")
        with closing(process.stderr):  # type: ignore[type-var]
            wait_for(lambda least_done=least_done: frames_done(tmp_path / "out") >= least_done, process)  # type: ignore[misc]
            os.killpg(process.pid, signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
    summary = extract(media, tmp_path / "out", size=64)
    assert summary.skipped >= 40
    assert same_results(tmp_path / "out", undisturbed)
    assert not (tmp_path / "out" / ".pending").exists()


def test_a_killed_worker_costs_a_retry_and_not_the_run(media: Path, undisturbed: Path, tmp_path: Path) -> None:
    process = start(media, tmp_path / "out")
    with closing(process.stderr):  # type: ignore[type-var]
        wait_for(lambda: frames_done(tmp_path / "out") > 0, process)
        killed = workers_of(process)
        for worker in killed:
            os.kill(worker, signal.SIGKILL)
        assert process.wait(LONGEST_S) == 0
    assert same_results(tmp_path / "out", undisturbed)
    (run,) = read_summary(tmp_path / "out")["runs"]
    assert run["summary"]["events"]["worker_restarted"] == len(killed) > 0
    with connect(tmp_path / "out", read_only=True) as db:
        events = db.execute("SELECT kind, detail FROM event").fetchall()
    assert [kind for kind, _ in events] == ["worker_restarted"] * len(killed)
    assert all("SIGKILL" in detail for _, detail in events)


def test_a_worker_ends_when_its_supervisor_is_gone(media: Path, tmp_path: Path) -> None:
    process = start(media, tmp_path / "out")
    with closing(process.stderr):  # type: ignore[type-var]
        wait_for(lambda: frames_done(tmp_path / "out") > 0, process)
        workers = workers_of(process)
        assert workers
        process.kill()
        process.wait()
        deadline = time.monotonic() + LONGEST_S
        for worker in workers:
            while Path(f"/proc/{worker}/cmdline").exists() and Path(f"/proc/{worker}/cmdline").read_bytes():
                assert time.monotonic() < deadline
                time.sleep(0.02)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_keeps_its_state_and_says_so(
    number: signal.Signals, code: int, media: Path, undisturbed: Path, tmp_path: Path
) -> None:
    process = start(media, tmp_path / "out")
    with closing(process.stderr):  # type: ignore[type-var]
        wait_for(lambda: frames_done(tmp_path / "out") > 0, process)
        os.killpg(process.pid, number)
        assert process.wait(LONGEST_S) == code
    assert 0 < frames_done(tmp_path / "out") < 77
    extract(media, tmp_path / "out", size=64)
    assert same_results(tmp_path / "out", undisturbed)


def test_an_interrupt_while_networks_are_prepared_is_an_interrupt(
    samples: Path, cache: WeightCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACELOOM_WEIGHTS", str(cache.folder / "files"))
    monkeypatch.setenv("FACELOOM_CACHE", str(tmp_path / "cache"))
    process = start(samples / "portrait.png", tmp_path / "out")
    assert process.stderr is not None
    with closing(process.stderr):
        wait_for(lambda: any(b"models.convert" in words for words in children_of(process)), process)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(LONGEST_S) == 130
        assert b"could not be prepared" not in process.stderr.read()


def test_a_frame_that_kills_the_worker_fails_alone(samples: Path, tmp_path: Path) -> None:
    plugin = """
        import os
        from dataclasses import dataclass
        from faceloom.detect.yunet import YuNet

        @dataclass(frozen=True, kw_only=True)
        class Plugin(YuNet):
            def prepare(self, images):
                if images.shape[1:3] == (512, 512):  # the portrait
                    os.abort()
                return super().prepare(images)
    """
    with installed_plugin(tmp_path, "detect/fragile", plugin):
        summary = extract(samples, tmp_path / "out", size=64, detect="fragile")
    assert (summary.frames, summary.failed) == (27, 1)
    assert summary.failures[0].startswith("portrait.png#0: the worker process ended by signal SIGABRT")


def test_a_worker_that_never_answers_ends_the_run_with_its_last_words(samples: Path, tmp_path: Path) -> None:
    plugin = """
        import os
        import sys
        from dataclasses import dataclass
        from faceloom.detect.yunet import YuNet

        @dataclass(frozen=True, kw_only=True)
        class Plugin(YuNet):
            def prepare(self, images):
                print("out of luck", file=sys.stderr, flush=True)
                os._exit(9)
    """
    with (
        installed_plugin(tmp_path, "detect/hopeless", plugin),
        pytest.raises(StageError, match=r"exit code 9 \(out of luck\)"),
    ):
        extract(samples / "clip.mp4", tmp_path / "out", detect="hopeless")


def test_a_plugin_that_breaks_its_contract_ends_the_run(samples: Path, tmp_path: Path) -> None:
    plugin = """
        from dataclasses import dataclass
        from faceloom.detect.yunet import YuNet

        @dataclass(frozen=True, kw_only=True)
        class Plugin(YuNet):
            def decode(self, outputs, *, height, width):
                return ()
    """
    with installed_plugin(tmp_path, "detect/empty", plugin), pytest.raises(ContractError, match="1 answers"):
        extract(samples / "clip.mp4", tmp_path / "out", detect="empty")


def test_running_again_does_nothing_twice(media: Path, undisturbed: Path) -> None:
    before = files_below(undisturbed)
    summary = extract(media, undisturbed, size=64)
    assert (summary.skipped, summary.frames) == (77, 77)
    assert files_below(undisturbed) == before


def test_another_configuration_is_refused_with_the_difference(media: Path, undisturbed: Path) -> None:
    with pytest.raises(RequestError, match=r"chips\.size: 64 in the folder, 128 asked for"):
        extract(media, undisturbed, size=128)


def test_progress_counts_up_to_the_total(media: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    extract(media / "a", tmp_path / "out", size=64, on_event=events.append)
    progress = [event for event in events if isinstance(event, Progress)]
    assert [event.frames for event in progress] == sorted(event.frames for event in progress)
    assert (progress[0].frames, progress[-1].frames, progress[-1].total_frames) == (0, 26, 26)
    assert progress[-1].eta_s == 0


def test_a_changed_file_is_done_again_and_nothing_else(samples: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(samples / "portrait.png", folder / "one.png")
    shutil.copy(samples / "crowd.jpg", folder / "two.jpg")
    extract(folder, tmp_path / "out", size=64)
    shutil.copy(samples / "crowd.jpg", folder / "one.png")
    events: list[Event] = []
    summary = extract(folder, tmp_path / "out", size=64, on_event=events.append)
    assert (summary.skipped, summary.faces) == (1, 50)
    assert [event.text for event in events if isinstance(event, Notice)] == [
        "one.png has changed since it was last read; doing it again"
    ]


def test_inputs_without_a_picture_or_video_say_so(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to see")
    with pytest.raises(MediaError, match=r"no picture and no video"):
        extract(tmp_path, tmp_path.parent / "out")
