"""What the walk over every option needs: a value of each, the ways to give it, and a run that only notes its order."""

import argparse
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import faceloom.api
import faceloom.correcting
import faceloom.finding
import faceloom.grouping
import faceloom.live_runs
import faceloom.naming
import faceloom.orders.order
import faceloom.picking.pick
import faceloom.picking.sort
import faceloom.redacting.redact
import faceloom.redacting.summary
import faceloom.review.report
import faceloom.review.serving
import faceloom.store.exports
import faceloom.store.forgetting
import faceloom.store.merging
import faceloom.tracks
import faceloom.worker.live
from faceloom.cli.commands import Command
from faceloom.cli.listing import every_command
from faceloom.cli.main import main
from faceloom.cli.parser import Parser
from faceloom.events import Summary
from faceloom.models.catalog import CATALOG
from faceloom.options.declared import Declared, Form
from faceloom.store.carrying import Carried
from faceloom.targets import Target

_IDENTIFIER = {"identify/sface": {"weights": CATALOG["sface"].sha256}}
FOLDER_CONFIG = {"stages": {"detect/yunet": {}, "mask/extended": {"weights": None}, **_IDENTIFIER}, "mask_size": 256}
COMPANIONS: Mapping[str, Mapping[str, Any]] = {
    "attributes": {"align": ["facemesh_v2"]},
    "from_": {"detect": "import"},
    "from_format": {"detect": "import", "from_": "faces.jsonl"},
    "like": {"identify": "sface"},
    "unlike": {"identify": "sface"},
    "threshold": {"identify": "sface", "like": ["ann.jpg"]},
    "copy": {"folders": "people"},
    "fill": {"track": True},
    "null": {"from_list": "list.txt"},
    "snapshot_every": {"publish": "memory://faces"},
    "weights": {"identify": "sface", "like": ["ann.jpg"]},
    "pass_": {"identify": "sface", "mask": ["unet", "extended"]},
}
"""What has to be asked for too, by option."""
NEEDED: Mapping[str, Mapping[str, Any]] = {
    "extract": {"out": "result"},
    "derive": {"out": "result"},
    "merge": {"out": "result"},
    "redact": {"out": "result"},
    "extend": {"mask": ["unet", "extended"]},
    "export": {"to": "jsonl"},
    "forget": {"source": "b.jpg"},
    "find": {"in_": ("folder",)},
    "names": {"from_xmp": True},
    "report": {"out": "report.html"},
    "pick": {"out": "best"},
    "sort": {"out": "sorted"},
}
"""What a command cannot do without."""
EXAMPLES: Mapping[tuple[str, str], Any] = {
    ("extend", "weights"): {"mask/unet": "net.onnx"},
    ("extend", "settings"): {"mask/extended": {"grow": 0.3}},
    ("extend", "batch"): {"mask/unet": "2!"},
    ("extend", "pass_"): ("mask", "identify"),
}
"""Where that of the option is of no use to a command."""
WORDS: Mapping[str, list[str]] = {
    "inputs": ["in.png"],
    "folder": ["folder"],
    "chips": ["in.png"],
    "pictures": ["in.png"],
    "first": ["in.png"],
    "second": ["in.png"],
    "names": [],
    "folders": ["folder"],
    "verb": ["undo"],
    "words": ["1"],
    "address": ["memory://elsewhere"],
}
"""What is told without a flag, by the argument's name."""


def given(command: Command, one: Declared) -> tuple[dict[str, Any], dict[str, Any]]:
    """What else has to be given for an option to be of use, and that with a value that is not the default."""
    companions = {name: value for name, value in COMPANIONS.get(one.name, {}).items() if name in command.declared}
    others = {**NEEDED.get(command.name, {}), **companions}
    if one.name == "person":
        others.pop("source", None)
    others.pop(one.name, None)
    value = (
        not one.option.default if one.kind is Form.TRUTH else EXAMPLES.get((command.name, one.name), one.option.example)
    )
    assert value != one.option.default, f"{one.name} has no example"
    return others, {**others, one.name: value}


def written(one: Declared, value: Any) -> list[str]:
    """The texts that stand for a value on the command line."""
    match one.kind:
        case Form.TEXTS | Form.PATHS:
            return list(map(str, value))
        case Form.MEASURES:
            return [",".join(map(str, value))]
        case Form.TABLE:
            pairs = [(key, inner) for key, inner in value.items()]
            return [
                f"{key}.{name}={item}"
                for key, inner in pairs
                if isinstance(inner, dict)
                for name, item in inner.items()
            ] or [f"{key}={inner}" for key, inner in pairs]
    return [str(value)]


def flags(command: Command, options: Mapping[str, Any]) -> list[str]:
    """The options as flags."""
    texts: list[str] = []
    for name, value in options.items():
        one = command.declared[name]
        if one.kind is Form.TRUTH:
            texts.append(f"--{one.flag}")
        else:
            texts += [f"--{one.flag}={text}" for text in written(one, value) if not one.option.takes_several]
            texts += [f"--{one.flag}", *written(one, value)] if one.option.takes_several else []
    return texts


def table(command: Command, options: Mapping[str, Any]) -> str:
    """The options as a table of faceloom.toml."""
    lines = [f"[{command.name}]"]
    for name, value in options.items():
        one = command.declared[name]
        told: Any = value
        if one.kind is Form.TRUTH:
            told = True
        elif one.kind in {Form.TEXTS, Form.PATHS, Form.TABLE}:
            told = written(one, value)
        elif one.kind is Form.MEASURES:
            (told,) = written(one, value)
        lines.append(f"{one.flag} = {json.dumps(told)}")
    return "\n".join(lines) + "\n"


def words(command: Command, options: Mapping[str, Any]) -> list[str]:
    """What is told without a flag."""
    if "problem" in options:
        return []
    return [text for argument in command.arguments for text in WORDS[argument.name]]


def by_flag(command: Command, options: Mapping[str, Any]) -> int:
    """Runs a command with flags."""
    return main([command.name, *words(command, options), *flags(command, options)])


def by_file(command: Command, options: Mapping[str, Any]) -> int:
    """Runs a command with a file of options."""
    file = Path("options.toml")
    file.write_text(table(command, options))
    try:
        return main(["--config", str(file), command.name, *words(command, options)])
    finally:
        file.unlink()


class Recording(argparse.Namespace):
    """What was parsed, and which of it the command has looked at."""

    read: set[str]

    def __init__(self, parsed: argparse.Namespace) -> None:
        super().__init__(**vars(parsed))
        super().__setattr__("read", set())

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name != "read":
            super().__getattribute__("read").add(name)
        return super().__getattribute__(name)


class NothingCorrected(list[Any]):
    """The corrections of a folder that is not there."""

    def __init__(self, folder: str) -> None:
        super().__init__()

    def undo(self, *numbers: int) -> list[Any]:
        return [] if numbers else [1]

    def read(self, path: str) -> Carried:
        return Carried(added=len(path))

    def export(self, path: str) -> None:
        assert path


class Notebook:
    """What runs were asked to do, in place of doing it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        """In one text each, of what the run would have been told."""
        self.told: list[Recording] = []
        self._part: list[str] = []
        self._replace(monkeypatch)

    def _replace(self, patch: pytest.MonkeyPatch) -> None:
        api = faceloom.api
        parse = Parser.parse_args

        def parse_args(parser: Parser, *args: Any) -> Recording:
            self.told.append(Recording(parse(parser, *args)))
            return self.told[-1]

        patch.setattr(Parser, "parse_args", parse_args)
        patch.setattr(faceloom.orders.order, "choose_targets", self._noting("devices", (Target(),)))
        patch.setattr(faceloom.orders.order, "_weights", lambda *_: {})
        patch.setattr(api, "find_people", self._noting("people", None))
        patch.setattr(api, "published_meanwhile", self._published)
        patch.setattr(api, "read_config", lambda _: dict(FOLDER_CONFIG))
        patch.setattr(api, "has_landmarks", lambda _: True)
        patch.setattr(api, "Store", self._store)
        patch.setattr(api, "told_in", lambda _: ())
        patch.setattr(api, "select_to_make", lambda _: ())
        patch.setattr(faceloom.correcting, "corrections", NothingCorrected)
        patch.setattr(api, "run_job", self._ending("run", summary))
        patch.setattr(api, "run_again", self._ending("again", summary))
        patch.setattr(api, "forecast", self._ending("forecast", nothing_planned))
        patch.setattr(api, "measure_now", self._ending("measure", one_measured))
        patch.setattr(faceloom.worker.live, "LiveWorker", self._live)
        patch.setattr(faceloom.live_runs, "PassRun", self._live)
        for name in ("export", "export_to", "read_lost"):
            patch.setattr(faceloom.store.exports, name, self._ending(name, list))
        patch.setattr(faceloom.store.merging, "merge", self._ending("merge", nothing_merged))
        patch.setattr(faceloom.redacting.redact, "redact", self._ending("redact", nothing_redacted))
        patch.setattr(faceloom.naming, "read_names", self._ending("names", faceloom.naming.NamesRead))
        for name in ("write_sidecars", "write_into_files"):
            patch.setattr(faceloom.naming, name, self._ending(name, faceloom.naming.NamesWritten))
        patch.setattr(faceloom.finding, "find", self._ending("find", nobody_found))
        patch.setattr(faceloom.finding, "verify", self._ending("verify", nobody_verified))
        patch.setattr(faceloom.grouping, "group", self._ending("group", list))
        patch.setattr(faceloom.picking.pick, "pick", self._ending("pick", nothing_picked))
        patch.setattr(api, "_track", self._after("track"))
        patch.setattr(faceloom.tracks, "track", self._ending("track", nothing_tracked))
        patch.setattr(faceloom.picking.sort, "sort", self._ending("sort", nothing_sorted))
        patch.setattr(faceloom.review.report, "report", self._ending("report", list))
        patch.setattr(faceloom.review.serving, "serve", self._ending("serve", list))
        patch.setattr(faceloom.store.forgetting, "forget", self._ending("forget", faceloom.store.forgetting.Forgotten))

    def _noting(self, what: str, answer: Any) -> Callable[..., Any]:
        def note(*args: Any, **options: Any) -> Any:
            self._part.append(f"{what} {plainly(args)} {plainly(options)}")
            return answer

        return note

    def _after(self, what: str) -> Callable[..., None]:
        """What is told once a run has ended, of which it is a part."""
        note = self._noting(what, None)

        def add(*args: Any, **options: Any) -> None:
            note(*args, **options)
            self.asked[-1] = "\n".join([self.asked[-1], *self._part])
            self._part.clear()

        return add

    def _ending(self, what: str, answer: Callable[[], Any]) -> Callable[..., Any]:
        note = self._noting(what, None)

        def end(*args: Any, **options: Any) -> Any:
            note(*args, **options)
            self.asked.append("\n".join(self._part))
            self._part.clear()
            return answer()

        return end

    @contextmanager
    def _store(self, folder: Path, **_: Any) -> Iterator[Any]:
        note = self._noting
        yield SimpleNamespace(
            configuration=SimpleNamespace(
                now=None,
                use=note(f"config of {folder}", None),
                use_look=note(f"look at {folder}", 1),
                add_stages=note(f"stages of {folder}", []),
            ),
            begin_run=lambda **_: None,
            end_run=lambda **_: None,
            run_id=1,
            again=SimpleNamespace(stages=lambda _: []),
            find_lost_chips=lambda: False,
            lay_added=lambda: None,
        )

    @contextmanager
    def _published(self, *told: Any, **options: Any) -> Iterator[None]:
        self._noting("publish", None)(*told, **options)
        yield

    @contextmanager
    def _live(self, *job: Any, **told: Any) -> Iterator[Any]:
        self._ending("live", list)(*job, **told)
        yield SimpleNamespace(frames=lambda *_: ())


def plainly(value: Any) -> str:
    """A value in one text, whatever holds it: functions and stores have none that is the same twice."""
    if isinstance(value, dict):
        told = {name: item for name, item in value.items() if name not in {"on_event", "should_stop"}}
        return repr(sorted(told.items()))
    return repr([item for item in value if not isinstance(item, SimpleNamespace)])


def summary() -> Summary:
    """Of a run that did nothing."""
    return Summary(
        frames=1,
        faces=0,
        failed=0,
        skipped=0,
        seconds=0,
        peak_bytes=1,
        predicted_peak_bytes=0,
        budget_bytes=1,
        events={},
        images={},
        plan={},
        failures=(),
        outcome="done",
    )


def nothing_merged() -> faceloom.store.merging.Merged:
    """Of a merge that did nothing."""
    none = dict.fromkeys(("folders", "sources", "frames", "faces", "files", "known", "forgotten", "lost"), 0)
    return faceloom.store.merging.Merged(missing=(), **none)


def nothing_picked() -> faceloom.picking.pick.PickedFaces:
    """Of a result folder without faces."""
    return faceloom.picking.pick.PickedFaces(picked={}, candidates=0, duplicates=0, lost=0, out=Path())


def nothing_tracked() -> faceloom.tracks.Tracked:
    """Of a folder without videos."""
    return faceloom.tracks.Tracked(videos=0, unchanged=0, shots=0, tracks=0, faces=0)


def nothing_sorted() -> faceloom.picking.sort.SortedFaces:
    """Of a result folder without faces."""
    return faceloom.picking.sort.SortedFaces(faces=0, unknown=0, lost=0, out=Path())


def nothing_redacted() -> faceloom.redacting.summary.RedactSummary:
    """Of a redaction that did nothing."""
    return faceloom.redacting.summary.RedactSummary(
        items=(),
        failures=(),
        out=Path("result"),
        report=Path("report.html"),
        seconds=0,
        peak_bytes=1,
        budget_bytes=1,
        detectors=(),
        outcome="done",
    )


def nobody_found() -> faceloom.finding.PicturesFound:
    """Of pictures without faces."""
    return faceloom.finding.PicturesFound(faces=(), searched=0, failed=())


def nobody_verified() -> faceloom.finding.Verification:
    """Of two people."""
    return faceloom.finding.Verification(is_same=False, score=0, threshold=1, identifier="identify/none")


def nothing_planned() -> Any:
    """Of a forecast that did nothing, for several devices that do none of it."""
    return SimpleNamespace(devices=("a", "b"), plans=(), guessed=())


def one_measured() -> Any:
    """A footprint of nothing."""
    sizes = {f"{name}_bytes": 0 for name in ("weights", "fixed", "item", "process")}
    return {"detect/yunet": SimpleNamespace(**sizes, load_s=0.0, batch_s={}, to_json=dict)}


def make_files(folder: Path, network: Path) -> None:
    """What the examples of options name."""
    for name in ("in.png", "ann.jpg", "bob.jpg", "result/faceloom.sqlite"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    (folder / "faces.jsonl").write_text("")
    (folder / "list.txt").write_text("in.png")
    (folder / "nodes.toml").write_text("[[node]]\ncores = 2\nmemory = '1GiB'\n")
    shutil.copy(network, folder / "net.onnx")


def all_options() -> list[tuple[Command, str]]:
    """Every option of every command, but for the one that names the file of options."""
    return [(command, name) for command in every_command() for name in command.declared if name != "config"]
