"""`faceloom show` and `faceloom export`: what a result folder holds."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from faceloom.cli.commands import Argument, Command, keywords
from faceloom.cli.flags import JsonFlags
from faceloom.cli.terminal import Escaping, on_one_line, say, say_json
from faceloom.errors import StoreError
from faceloom.options.calls import ExportOptions, RawOptions
from faceloom.options.option import Option
from faceloom.options.outputs import ShareOptions
from faceloom.options.stages import PathLike
from faceloom.units import format_bytes, format_seconds


class ShowFlags(RawOptions, ShareOptions, JsonFlags, total=False):
    """What `faceloom show` takes."""

    sheet: Annotated[
        PathLike | None,
        Option(
            help="also write a contact sheet, a row for each person, to a new picture (.jpg or .png)",
            unit="FILE",
            example="sheet.jpg",
        ),
    ]


class ExportFlags(ExportOptions, total=False):
    """What `faceloom export` takes."""

    to: Annotated[str, Option(help="the format", unit="FORMAT", is_required=True, example="csv")]
    out: Annotated[
        PathLike | None,
        Option(
            help="write to a new file or folder, or to an address, as in s3://bucket/faces.csv",
            usual="stdout",
            unit="FILE",
            example="faces.jsonl",
        ),
    ]


def show(chosen: argparse.Namespace) -> int:
    """Prints a result folder's summary, and writes the sheet that is asked for."""
    sheet, options = chosen.sheet, {"raw": chosen.raw, "share": chosen.share}
    if sheet is not None:
        from faceloom.results.sheets import write_sheet

        write_sheet(Path(chosen.folder), Path(sheet), **options)
    from faceloom.store.summary import read_summary

    summary = read_summary(Path(chosen.folder), raw=chosen.raw)
    if chosen.json:
        say_json(summary)
    else:
        say(_told(summary, Path(chosen.folder)))
    return 0


def export(chosen: argparse.Namespace) -> int:
    """Writes an export to a place where nothing is yet, or to stdout, and says what the format does not hold."""
    from faceloom.formats.registry import format_named
    from faceloom.results.exporting import export as write
    from faceloom.store.exports import read_lost

    folder = Path(chosen.folder)
    if not chosen.frames:
        lost = read_lost(folder, format_named(chosen.to), raw=chosen.raw)
        say(f"not in this format: {', '.join(lost)}" if lost else "", end="\n" * bool(lost), to=sys.stderr)
    if chosen.out is None:
        write(folder, chosen.to, out=_stdout(), **keywords(chosen, ExportOptions))
        sys.stdout.flush()
    else:
        write(folder, chosen.to, out=chosen.out, **keywords(chosen, ExportOptions))
    return 0


def _told(summary: dict[str, Any], folder: Path) -> str:
    """The summary in words, whatever anybody has written into the store that it is made of.

    Raises:
        StoreError: that is not what a run writes there.
    """
    try:
        return _in_words(on_one_line(summary))
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        what = f"{type(error).__name__}: {error}"
        raise StoreError(f"what runs have noted in {folder} is damaged ({what})", path=folder) from error


def _in_words(summary: dict[str, Any]) -> str:
    problems = [f"{one['status']:<10}{one['source']}#{one['frame']}: {one['reason']}" for one in summary["problems"]]
    runs = [line for run in summary["runs"] for line in _run_in_words(run)]
    return "\n".join(
        [*_inputs_in_words(summary), *_faces_in_words(summary), *_folder_in_words(summary), *runs, *problems]
    )


def _inputs_in_words(summary: dict[str, Any]) -> Iterator[str]:
    sources = ", ".join(
        f"{number:,} {kind}{'s' * (number != 1)}" for kind, number in sorted(summary["sources"].items())
    )
    frames = summary["frames"]
    yield f"sources   {sources or 'none'}"
    yield f"frames    {frames['done']:,} done, {frames['failed']:,} failed, {frames['pending']:,} to do"
    yield f"faces     {summary['faces']:,}, in {summary['frames_with_faces']:,} frames"
    for note, number in summary["notes"].items():
        yield f"noted     {note}: {number:,} source{'s' * (number != 1)}"
    for why, told in summary["passed_over"].items():
        names = ", ".join(told["first"]) + (", ..." if told["count"] > len(told["first"]) else "")
        yield f"no input  {told['count']:,} x {why}: {names}"


def _faces_in_words(summary: dict[str, Any]) -> Iterator[str]:
    if turned := summary["turned"]:
        yield f"turned    {turned:,} face{'s' * (turned != 1)} by more than 45 degrees"
    if summary["persons"]:
        yield f"persons   {summary['persons']:,}"
    if shots := summary["shots"]:
        tracks, faces = summary["tracks"], summary["faces_in_tracks"]
        yield f"tracks    {tracks:,} of {faces:,} faces, in {shots:,} shot{'s' * (shots != 1)}"
    if summary["corrections"]["said"]:
        yield f"corrected {summary['corrections']['said']:,} times, {summary['corrections']['undone']:,} undone"
    if summary["rejected"]:
        kinds = ", ".join(f"{name} {number:,}" for name, number in summary["rejected_by"].items())
        yield f"rejected  {summary['rejected']:,} more faces, without chips: {kinds}"
    if summary["masks"]:
        yield f"masks     {', '.join(f'{name} {number:,}' for name, number in summary['masks'].items())}"


def _folder_in_words(summary: dict[str, Any]) -> Iterator[str]:
    for stage, number in summary["again"].items():
        yield f"missing   {_again_in_words(stage, number)}"
    if summary["config"]:
        yield f"stages    {', '.join(summary['config']['stages'])}"
        for number, look in enumerate(summary["config"].get("looks", []), start=1):
            yield f"look {number:<5}{', '.join(look)}, where no face was found"
    if summary["open_to_others"]:
        yield "access    others on this machine may read what is here; chmod -R go= DIR takes that back"


def _again_in_words(stage: str, frames: int) -> str:
    """What is to be done again, and how."""
    kind, _, name = stage.partition("/")
    where = f"in {frames:,} frame{'s' * (frames != 1)}"
    if kind == "chips":
        return f"{stage} {where}: run the same command again"
    if kind == "look":
        return f"the second look of number {name} {where}: run faceloom extract --only-empty again"
    return f"{stage} {where}: run faceloom extend --{kind} {name} again"


def _run_in_words(run: dict[str, Any]) -> list[str]:
    told = run["summary"] or {}
    outcome = run["outcome"] or "did not end: killed, or still going on"
    lines = [f"run       {run['started_at'][:19]}Z: {outcome}{_cost_in_words(told) if told else ''}"]
    plan = run["plan"] or {}
    for name, one in plan.get("devices", {"": plan}).items():
        for number, phase in enumerate(one.get("phases", []), start=1):
            stages = ", ".join(f"{stage['stage']} x{stage['batch']} on {stage['device']}" for stage in phase["stages"])
            lines.append(f"  {f'{name}, ' if name else ''}pass {number}  {stages or 'no network'}")
    if images := told.get("images"):
        lines.append(f"  pictures given to networks: {', '.join(f'{stage} {n:,}' for stage, n in images.items())}")
    return lines


def _cost_in_words(told: dict[str, Any]) -> str:
    events = ", ".join(f"{number} x {kind}" for kind, number in told["events"].items() if number)
    memory = ", ".join(
        f"{'peak memory' if name == 'cpu' else name} {format_bytes(peak)} of {format_bytes(told['budget_bytes'][name])}"
        f" ({format_bytes(told['predicted_peak_bytes'][name])} predicted)"
        for name, peak in told["peak_bytes"].items()
    )
    memory += "".join(
        f", {name} at work {share:.0%} of the time" for name, share in told.get("device_busy", {}).items()
    )
    return f", {format_seconds(told['seconds'])}, {memory}" + (f"; {events}" if events else "")


def _stdout() -> Any:
    """What text is written to; bytes for programs, but what a terminal shows is made harmless."""
    return Escaping(sys.stdout) if sys.stdout.isatty() else sys.stdout


def _formats() -> list[str]:
    """The formats there are."""
    from faceloom.formats.registry import format_names

    return format_names()


SHOW = Command(
    name="show",
    description="Tells what a result folder holds. Also while a run is writing to it.",
    arguments=(Argument(name="folder", metavar="DIR", help="a result folder"),),
    options=ShowFlags,
    run=show,
)
EXPORT = Command(
    name="export",
    description="Writes every face, sorted by source, frame and index, whatever order they were found in.",
    arguments=(Argument(name="folder", metavar="DIR", help="a result folder"),),
    options=ExportFlags,
    words={"to": _formats},
    run=export,
    can_write_remote=True,
)
