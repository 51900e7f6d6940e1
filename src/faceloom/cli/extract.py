"""`faceloom extract`."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from faceloom.units import format_bytes, format_seconds

if TYPE_CHECKING:
    from faceloom.events import OnEvent, Summary
    from faceloom.supervisor.inputs import ShouldStop

_EPILOG = """\
Run the same command again after any kind of end: it goes on where it stopped, with the same final result.

  faceloom extract holiday --out faces                          everything below a folder
  faceloom extract a.jpg clip.mp4 --out faces --size 256        single files, smaller crops
  faceloom extract film.mkv --out boxes --align none            boxes only
  faceloom extract shots --out look --no-chips --overlay        frames with the faces drawn on them
"""


class Terminated(BaseException):
    """SIGTERM came."""


def add_parsers(commands: Any) -> None:
    """Adds this module's command."""
    parser = commands.add_parser(
        "extract",
        help="find every face in pictures, folders and videos",
        description="Finds every face in pictures, folders and videos, and writes aligned crops and a store.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="a picture, a video, or a folder with everything below it"
    )
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="result folder: new, empty, or made by the same command"
    )
    add_stage_flags(parser)
    add_machine_flags(parser)
    chips = parser.add_argument_group("what is written")
    add_chip_flags(chips)
    chips.add_argument("--no-chips", dest="chips", action="store_false", help="write no crops, only the store")
    chips.add_argument(
        "--mask-size", type=int, default=256, metavar="PX", help="side of the stored masks (default: 256)"
    )
    add_overlay_flags(chips)
    _add_people_flags(parser)
    parser.add_argument(
        "--only-empty",
        action="store_true",
        help="look again, with another --detect, at the frames of DIR in which no face was found",
    )
    add_report_flags(parser)


def add_report_flags(parser: argparse.ArgumentParser) -> None:
    """Flags that say how a run is told of."""
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON document")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def add_chip_flags(chips: Any) -> None:
    """Flags that say what chips look like, the same for every command that writes some."""
    chips.add_argument(
        "--size",
        type=int,
        default=512,
        metavar="PX",
        help="side of the aligned crops, 64 to 1024 (default: 512)",
    )
    chips.add_argument(
        "--crop",
        default="head",
        choices=["face", "head", "whole"],
        help="what they show: brows to chin, the head, or neck and shoulders too (default: head)",
    )
    chips.add_argument(
        "--no-level", dest="level", action="store_false", help="leave them as the frame stands: eyes are not made level"
    )
    chips.add_argument(
        "--format",
        default="jpg",
        choices=["jpg", "png", "webp"],
        help="of the crops: JPEG of quality 95 and 4:4:4 (default), PNG, or WebP of quality 95",
    )


def add_overlay_flags(chips: Any) -> None:
    """Flags for pictures to look at."""
    chips.add_argument(
        "--overlay",
        action="store_true",
        help="also write each frame with boxes, points and masks drawn on it",
    )
    chips.add_argument(
        "--overlay-chips",
        action="store_true",
        help="also write each crop with box, points and masks drawn on it",
    )


def _add_people_flags(parser: argparse.ArgumentParser) -> None:
    people = parser.add_argument_group("whose faces (needs --identify)")
    for flag, what in (("--like", "keep only faces like one of these"), ("--unlike", "drop faces like one of these")):
        people.add_argument(
            flag, nargs="+", action="extend", default=[], metavar="PICTURE", help=f"{what}; each shows one face"
        )
    people.add_argument(
        "--threshold",
        type=float,
        metavar="COSINE",
        help="from which on two faces are one person's, -1 to 1 (default: the identifier's own)",
    )


def add_stage_flags(parser: argparse.ArgumentParser) -> None:
    """Flags that choose the stages, the same for every command that has a flow."""
    stages = parser.add_argument_group("stages (see: faceloom models)")
    stages.add_argument(
        "--detect",
        default="yunet",
        metavar="NAME",
        help="detector, or import for the faces that --from tells of (default: yunet)",
    )
    stages.add_argument(
        "--from",
        dest="from_",
        metavar="FILE",
        help="with --detect import: boxes, keypoints or landmarks in any format of faceloom export",
    )
    stages.add_argument("--from-format", metavar="FORMAT", help="of that file (default: by its suffix)")
    stages.add_argument(
        "--detect-size",
        type=int,
        metavar="PX",
        help="scale larger frames down to this longer side (default: 1024)",
    )
    stages.add_argument(
        "--rotate",
        metavar="DEGREES",
        help="where no face is found upright, look again turned by each step of 90, or by angles like 0,45,315",
    )
    stages.add_argument(
        "--tiles",
        type=int,
        metavar="PX",
        help="for small faces: look at overlapping squares of PX pixels of large frames too, at full resolution",
    )
    stages.add_argument(
        "--min-score", type=float, metavar="SCORE", help="least score of a face (default: the detector's own)"
    )
    stages.add_argument(
        "--min-size",
        metavar="SIZE",
        help="least size of a face, the longer side of its box: pixels like 40, or 5%% of the frame's shorter side",
    )
    stages.add_argument("--max-size", metavar="SIZE", help="greatest size of a face, likewise")
    stages.add_argument("--max-faces", type=int, metavar="N", help="keep the N best faces of a frame (default: all)")
    stages.add_argument("--every", type=int, metavar="N", help="of videos, do every N-th frame (default: 1)")
    stages.add_argument("--start", metavar="PLACE", help="of videos, begin at this time (83.5, 1:23.5) or frame (250f)")
    stages.add_argument("--end", metavar="PLACE", help="of videos, end before this time or frame")
    stages.add_argument(
        "--align",
        default="facemesh",
        metavar="NAME",
        help="aligner, or none for boxes only (default: facemesh)",
    )
    stages.add_argument(
        "--normalize",
        choices=["none", "clahe", "hist", "mean"],
        help="make the lighting even of what the aligner sees, not of what is kept (default: none)",
    )
    stages.add_argument(
        "--refeed", type=int, metavar="N", help="average landmarks over N squares beside each other (default: 1)"
    )
    stages.add_argument(
        "--realign", action="store_true", help="align once more, in a square laid by the landmarks found first"
    )
    stages.add_argument(
        "--filter",
        action="append",
        metavar="NAME[=LIMIT]",
        help="mark faces as rejected by their landmarks: confidence, distance, scale, roll or order; may be repeated",
    )
    stages.add_argument(
        "--mask",
        action="append",
        metavar="NAME",
        help="mask, may be repeated, or none (default: components and extended)",
    )
    stages.add_argument("--identify", metavar="NAME", help="identifier (default: none; no embeddings unless asked for)")
    stages.add_argument(
        "--weights",
        action="append",
        metavar="STAGE=FILE",
        help="a weight file of your own, as in identify/arcface=net.onnx; may be repeated",
    )
    stages.add_argument(
        "--set",
        action="append",
        metavar="STAGE.OPTION=VALUE",
        help="an option of a plugin (docs/plugins.md), as in detect/yunet.max_iou=0.4; may be repeated",
    )


def add_machine_flags(parser: argparse.ArgumentParser, *, precision: bool = True) -> None:
    """Flags that say what a run may take; `precision`: and of which it is to be, where the folder does not tell."""
    machine = parser.add_argument_group("what it may take")
    add_ceiling_flags(machine)
    _add_device_flags(machine, precision=precision)


def add_device_flags(parser: argparse.ArgumentParser) -> None:
    """Flags that say what runs the networks."""
    _add_device_flags(parser.add_argument_group("what runs the networks"), precision=True)


def _add_device_flags(machine: Any, *, precision: bool) -> None:
    machine.add_argument(
        "--device",
        metavar="NAME,...",
        help="cpu, cuda:0, or several; auto (default): the card with most free memory, else the CPU; see doctor",
    )
    machine.add_argument("--exclude-device", metavar="NAME,...", help="devices to leave alone")
    machine.add_argument(
        "--engine", metavar="NAME", help="onnx or torch (default: onnx, or what the device and the stages need)"
    )
    if precision:
        machine.add_argument(
            "--precision",
            metavar="NAME",
            help="fp32, or on a card tf32 or fp16, which find other faces (default: fp32)",
        )


def add_ceiling_flags(machine: Any) -> None:
    """Flags that say how much memory and how many cores a run may take."""
    machine.add_argument(
        "--memory",
        metavar="SIZE",
        help="ceiling for all processes together, on cards for the memory of each, like 800MiB (default: what is"
        " free, but for a reserve)",
    )
    machine.add_argument(
        "--ram", metavar="SIZE", help="ceiling for RAM; on the CPU --memory is one too, and the lower of the two holds"
    )
    machine.add_argument("--threads", type=int, metavar="N", help="cores to use (default: all)")


def flow_options(chosen: argparse.Namespace) -> dict[str, Any]:
    """The library's options for the stage flags that were given."""
    options: dict[str, Any] = {
        "detect": chosen.detect,
        "align": None if chosen.align == "none" else chosen.align,
    }
    if chosen.mask is not None:
        options["mask"] = [] if chosen.mask == ["none"] else chosen.mask
    if chosen.weights is not None:
        options["weights"] = weight_files(chosen.weights)
    if chosen.set is not None:
        options["settings"] = settings_of(chosen.set)
    if chosen.realign:
        options["realign"] = True
    given = {
        name: getattr(chosen, name, None)
        for name in (
            "from_",
            "from_format",
            "detect_size",
            "rotate",
            "tiles",
            "min_score",
            "min_size",
            "max_size",
            "max_faces",
            "every",
            "start",
            "end",
            "normalize",
            "refeed",
            "filter",
            "identify",
            "threads",
            "device",
            "exclude_device",
            "engine",
            "precision",
        )
    }
    return {**options, **{name: value for name, value in given.items() if value is not None}}


def weight_files(items: Sequence[str]) -> dict[str, str]:
    """Weight files by stage.

    Raises:
        RequestError: an item is not of the form STAGE=FILE.
    """
    return dict(_stage_and_file(item) for item in items)


def _stage_and_file(item: str) -> tuple[str, str]:
    from faceloom.errors import RequestError

    stage, is_told, file = item.partition("=")
    if not (is_told and file):
        raise RequestError(f"--weights {item} is not of the form STAGE=FILE, as in identify/arcface=net.onnx")
    return stage, file


def settings_of(items: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Options by stage and name; a value that is no JSON is a text."""
    from faceloom.errors import RequestError

    settings: dict[str, dict[str, Any]] = {}
    for item in items:
        place, is_told, text = item.partition("=")
        stage, has_option, option = place.rpartition(".")
        if not (is_told and has_option and stage and option):
            raise RequestError(f"--set {item} is not of the form STAGE.OPTION=VALUE, as in detect/yunet.max_iou=0.4")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        settings.setdefault(stage, {})[option] = value
    return settings


def run(chosen: argparse.Namespace) -> int:
    """Extracts, and prints what was found."""
    from faceloom.api import extract

    def work(on_event: "OnEvent", should_stop: "ShouldStop") -> "Summary":
        return extract(
            chosen.inputs,
            chosen.out,
            size=chosen.size,
            format=chosen.format,
            crop=chosen.crop,
            level=chosen.level,
            chips=chosen.chips,
            mask_size=chosen.mask_size,
            overlay=chosen.overlay,
            like=chosen.like,
            unlike=chosen.unlike,
            threshold=chosen.threshold,
            only_empty=chosen.only_empty,
            memory=chosen.memory,
            ram=chosen.ram,
            on_event=on_event,
            should_stop=should_stop,
            **flow_options(chosen),
        )

    return do_and_report(work, chosen, Path(chosen.out))


def do_and_report(work: Callable[["OnEvent", "ShouldStop"], "Summary"], chosen: argparse.Namespace, out: Path) -> int:
    """Does a run under the eyes of whoever waits for it, prints how it ended, and gives the exit code."""
    from faceloom.cli.progress import silence, watch

    try:
        with Interrupts() as interrupts, silence() if chosen.quiet else watch() as on_event:
            summary = work(on_event, interrupts.should_stop)
    except Terminated:
        return 128 + signal.SIGTERM
    return report(summary, chosen, out)


def report(summary: "Summary", chosen: argparse.Namespace, out: Path) -> int:
    """Prints how a run ended, as one JSON document or in words; the exit code."""
    print(json.dumps(summary.to_json()) if chosen.json else _in_words(summary, out))
    for failure in summary.failures:
        print(f"faceloom: failed: {failure}", file=sys.stderr)
    if summary.outcome == "interrupted":
        print("faceloom: interrupted; run the same command again to go on", file=sys.stderr)
        return 128 + signal.SIGINT
    if summary.failed and summary.failed == summary.frames:
        print("faceloom: no input could be read", file=sys.stderr)
        return 4
    return 1 if summary.failed else 0


class Interrupts:
    """The first Ctrl-C lets the chunk in hand be finished, the second drops it; SIGTERM drops it at once."""

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interrupts":
        self._before = {
            signal.SIGINT: signal.signal(signal.SIGINT, self._interrupt),
            signal.SIGTERM: signal.signal(signal.SIGTERM, self._terminate),
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def should_stop(self) -> bool:
        return self._asked

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        # Written straight to the descriptor: the signal may have come in the middle of a print.
        os.write(2, b"\nfaceloom: finishing the chunk in hand; Ctrl-C again drops it\n")

    def _terminate(self, _number: int, _frame: FrameType | None) -> None:
        raise Terminated


def _in_words(summary: "Summary", out: Path) -> str:
    frames = f"{summary.frames:,} frame{'s' * (summary.frames != 1)}"
    found = f"{summary.faces:,} face{'s' * (summary.faces != 1)} in {frames}, {format_seconds(summary.seconds)}"
    failed = f", {summary.failed:,} failed" if summary.failed else ""
    skipped = f", {summary.skipped:,} of them done before" if summary.skipped else ""
    memory = f"peak memory {format_bytes(summary.peak_bytes)} of {format_bytes(summary.budget_bytes)}"
    if summary.predicted_peak_bytes:
        memory += f" ({format_bytes(summary.predicted_peak_bytes)} predicted)"
    lines = [f"{found}{failed}{skipped}; {memory}"]
    for name, card in summary.cards.items():
        peak, predicted, budget = map(format_bytes, (card.peak_bytes, card.predicted_peak_bytes, card.budget_bytes))
        lines.append(f"  on {name} {peak} of {budget} ({predicted} predicted)")
    if summary.device_frames:
        lines.append("  frames    " + ", ".join(f"{name} {number:,}" for name, number in summary.device_frames.items()))
    places = {"crops": out / "chips", "overlays": out / "overlays", "store": out / "faceloom.sqlite"}
    lines += [f"  {name:<9}{path}" for name, path in places.items() if path.exists()]
    return "\n".join([*lines, f"  look at   faceloom show {out}"])
