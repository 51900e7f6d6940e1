"""`redact`: finds faces, writes everything anew with them covered, and has detectors look at what was written."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from faceloom.api import extract
from faceloom.choices import Over
from faceloom.errors import BudgetError, MediaError
from faceloom.events import Notice, OnEvent, Summary, Writing
from faceloom.media.live import LiveSource
from faceloom.media.sources import Source, SourceKind
from faceloom.memory.budget import budget_bytes_of, host_budget_bytes, reserve_bytes_of
from faceloom.memory.ram import read_ram
from faceloom.memory.usage import held_bytes, peak_bytes
from faceloom.options.calls import RedactOptions
from faceloom.options.declared import declared
from faceloom.options.inputs import RateOptions
from faceloom.options.keywords import takes
from faceloom.options.machine import (
    CeilingOptions,
    DeviceOptions,
    MachineOptions,
    PrecisionOptions,
    ReserveOptions,
    ThreadOptions,
)
from faceloom.options.outputs import ShareOptions
from faceloom.options.stages import DetectorOptions, PathLike, PluginOptions
from faceloom.orders.inputs import existing
from faceloom.redacting.asked import claimed, settings, style_of, whose_of
from faceloom.redacting.lasting import covered_again, detector_told, live_names, live_of, nothing_yet
from faceloom.redacting.ledger import Entry, Ledger, open_ledger
from faceloom.redacting.messages import NotRedacted, Redaction, RedactSource
from faceloom.redacting.page import write_page
from faceloom.redacting.processes import RedactingProcess
from faceloom.redacting.proof import PROOF, least_score, look_at_written, unexpected
from faceloom.redacting.recording import Recording
from faceloom.redacting.sources import LeftOut, sources_of
from faceloom.redacting.styles import Style, Whose
from faceloom.redacting.summary import RedactedItem, RedactSummary
from faceloom.store.folder import DATABASE, locked
from faceloom.store.places import place_below
from faceloom.store.privacy import make_folder, make_folders_below
from faceloom.supervisor.inputs import ShouldStop

FACES, REDACTED, UNPROVEN, REPORT = "faces", "redacted", "unproven", "report.html"
RECORDED = "recorded"
"""What there is in the folder that is written."""
_FINDING = (RateOptions, DetectorOptions, PluginOptions, MachineOptions, PrecisionOptions, ShareOptions)
_LOOKING = (CeilingOptions, ReserveOptions, ThreadOptions, DeviceOptions, PrecisionOptions, ShareOptions)


class _InterruptedError(Exception):
    """Somebody has asked to stop."""


@takes(RedactOptions)
def redact(
    inputs: PathLike | Iterable[PathLike],
    out: PathLike,
    *,
    on_event: OnEvent = lambda event: None,
    should_stop: ShouldStop = lambda: False,
    **options: Unpack[RedactOptions],
) -> RedactSummary:
    """Writes pictures and videos anew with the faces in them covered, and has detectors look at what was written.

    The originals are only read. Files lie below `out/redacted` when no detector finds a face in them that is not to be
    seen; those in which one still does stay below `out/unproven`. `out/report.html` names frames that a person should
    look at. Called again with the same arguments it goes on where it ended, with corrections made meanwhile.

    Args:
        inputs: pictures, videos and folders; one result folder, whose faces are covered as they are corrected; or one
            live source, as `stream` takes them, which is covered while it comes.
        out: a new or empty folder, or one that the same call made before.
        on_event: told how it goes on.
        should_stop: asked now and then; True ends it: whole files are there, and of a live source what has come.
        options: as docs/options.md lists them.

    Returns:
        How it ended, with the faces that are still found.

    Raises:
        TypeError, RequestError, MediaError, BudgetError, WeightsError, StageError, StoreError: as `extract`.
    """
    items = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    live = live_of(items, options)
    given = [] if live is not None else existing([Path(item) for item in items])
    detectors = {name: least_score(name, options["proof_score"]) for name in options["proof"]}
    style = style_of(options)
    folder = given[0] if len(given) == 1 and (given[0] / DATABASE).is_file() else None
    whose = whose_of(options, folder)
    place = claimed(Path(out), given, share=options["share"])
    with locked(place, share=options["share"]), open_ledger(place, share=options["share"]) as ledger:
        ledger.use(settings(live.name if live else given, folder, style, whose, detectors, options))
        call = _Redacting(place, ledger, options, detectors, on_event, should_stop)
        return call.run(style, whose, folder, live or given)


class _Redacting:
    """One call: what is there, what is written, and what is found in it."""

    def __init__(
        self,
        out: Path,
        ledger: Ledger,
        options: RedactOptions,
        detectors: Mapping[str, float],
        on_event: OnEvent,
        should_stop: ShouldStop,
    ) -> None:
        self._out = out
        self._ledger = ledger
        self._options = options
        self._detectors = detectors
        self._on_event = on_event
        self._should_stop = should_stop
        self._entries: dict[str, Entry] = {}
        self._failures: dict[str, str] = {}
        self._seconds: dict[str, float] = {}
        self._starved = 0
        """How many sources were too large for the memory."""
        self._peak_bytes = 0
        self._budget_bytes = self._budget()
        self._started = time.monotonic()

    def run(self, style: Style, whose: Whose, folder: Path | None, given: LiveSource | Sequence[Path]) -> RedactSummary:
        """Covers the faces of a live source, or those in files, which a result folder may know already."""
        try:
            if isinstance(given, LiveSource):
                summary = self._record(given, style)
            else:
                with self._timed("finding faces"):
                    faces = folder or self._find(given)
                summary = self._do(faces, style, whose)
        except _InterruptedError:
            summary = self._summary(outcome="interrupted")
        write_page(summary, share=self._options["share"])
        return summary

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        """Counts the seconds that the block takes."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._seconds[what] = self._seconds.get(what, 0.0) + time.monotonic() - began

    def _budget(self) -> int:
        told = [budget_bytes_of(self._options[name]) for name in ("memory", "ram")]
        asked = min((size for size in told if size is not None), default=None)
        reserve = reserve_bytes_of(self._options["reserve"])
        return host_budget_bytes(asked, read_ram(), held_bytes=held_bytes(), reserve_bytes=reserve)

    def _find(self, inputs: Sequence[Path]) -> Path:
        """The result folder with the faces of inputs."""
        options: Mapping[str, Any] = self._options
        told = {name: options[name] for table in _FINDING for name in declared(table)}
        wants_masks = options["over"] == Over.MASK
        told |= {"align": ("facemesh",) if wants_masks else None, "mask": ("extended",) if wants_masks else ()}
        folder = self._out / FACES
        summary = extract(inputs, folder, on_event=self._on_event, should_stop=self._should_stop, chips=False, **told)
        self._take(summary)
        return folder

    def _record(self, source: LiveSource, style: Style) -> RedactSummary:
        """Writes a live source while it comes, and looks at what was written, also by earlier calls that were killed.

        A call writes a file of its own: what has gone by does not come again.
        """
        make_folder(self._out / UNPROVEN, share=self._options["share"])
        self._take_up_recordings()
        name = next(name for name in live_names(source) if self._ledger.entry(name) is None)
        begun = Entry(name=name, size_bytes=0, redacted=nothing_yet(name))
        self._note(begun)
        recording = Recording(source, style, delay_s=self._options["delay"], told=detector_told(self._options))
        place = place_below(self._out / UNPROVEN, name)

        def on_frames(frames: int) -> None:
            self._on_event(Writing(source=source.name, frames=frames, number=0, total=1))

        with self._timed("writing"):
            told = recording.write(place, name, on_frames=on_frames, should_stop=self._should_stop)
        self._note(replace(begun, size_bytes=place.stat().st_size, redacted=told))
        self._should_stop = lambda: False  # whoever has ended the recording waits for this
        with self._timed("looking"):
            self._prove()
        self._cover_again(style)
        return self._summary(outcome="done")

    def _take_up_recordings(self) -> None:
        """Those of calls that were killed before anybody had looked at them, or while they were covered again."""
        for name in self._ledger.names():
            entry = self._ledger.entry(name)
            kept = place_below(self._out / RECORDED, name)
            if entry is not None and kept.is_file():
                entry = replace(entry, found=None, rounds=())
                kept.replace(place_below(self._out / UNPROVEN, name))
            if entry is not None and entry.found is None and self._place(entry).is_file():
                self._entries[name] = entry

    def _cover_again(self, style: Style) -> None:
        """What is still found in recordings is covered in them: their sources have gone by."""
        found = [entry for entry in self._entries.values() if entry.found]
        if not found or not self._options["rounds"]:
            return
        make_folder(self._out / RECORDED, share=self._options["share"])
        sources = []
        for entry in found:
            kept = place_below(self._out / RECORDED, entry.name)
            self._place(entry).replace(kept)
            sources.append(Source(name=entry.name, path=kept, kind=SourceKind.VIDEO))
        self._do_rounds(self._told(None, style, Whose()), sources)
        for before, source in zip(found, sources, strict=True):
            now = self._entries.get(source.name)
            if now is None:  # why not stands among the failures
                source.path.replace(self._place(before))
                continue
            self._note(replace(now, redacted=covered_again(before.redacted, now.redacted)))
            source.path.unlink()
        with suppress(OSError):  # something is left in it
            (self._out / RECORDED).rmdir()

    def _take(self, summary: Summary) -> None:
        self._peak_bytes = max(self._peak_bytes, summary.peak_bytes)
        self._budget_bytes = summary.budget_bytes
        if summary.outcome != "done":
            raise _InterruptedError

    def _do(self, faces: Path, style: Style, whose: Whose) -> RedactSummary:
        """Writes every source of a result folder, looks at what was written, and writes again what shows faces."""
        sources = []
        for one in sources_of(faces):
            if isinstance(one, LeftOut):
                self._failures[one.name] = one.reason
            else:
                sources.append(one)
        if not sources and not self._failures:
            raise MediaError(f"{faces} holds no source with frames")
        make_folder(self._out / UNPROVEN, share=self._options["share"])
        self._do_rounds(self._told(faces.absolute(), style, whose), sources)
        if self._starved and not self._entries:
            name, reason = next(iter(self._failures.items()))
            raise BudgetError(f"nothing could be written: {name}: {reason}", budget_bytes=self._budget_bytes)
        return self._summary(outcome="done")

    def _told(self, faces: Path | None, style: Style, whose: Whose) -> Redaction:
        return Redaction(
            folder=faces,
            out=(self._out / UNPROVEN).absolute(),
            style=style,
            whose=whose,
            raw=self._options["raw"],
            share=self._options["share"],
            process_bytes=max(1, self._budget_bytes - held_bytes()),
        )

    def _do_rounds(self, told: Redaction, sources: Sequence[Source]) -> None:
        """Writes sources and looks at what was written, until nothing is found or it was done often enough."""
        pending = sources
        for _ in range(self._options["rounds"] + 1):
            with self._timed("writing"):
                self._write(told, pending)
            with self._timed("looking"):
                self._prove()
            pending = [one for one in pending if self._is_to_be_done_again(one.name)]
            if not pending:
                break

    def _is_to_be_done_again(self, name: str) -> bool:
        entry = self._entries.get(name)
        return entry is not None and bool(entry.found) and len(entry.rounds) <= self._options["rounds"]

    def _write(self, told: Redaction, sources: Sequence[Source]) -> None:
        with RedactingProcess(told) as process:
            for number, source in enumerate(sources):
                self._write_one(process, source, number, len(sources))
        self._peak_bytes = max(self._peak_bytes, peak_bytes() + process.peak_bytes)

    def _write_one(self, process: RedactingProcess, source: Source, number: int, total: int) -> None:
        before = self._entries.get(source.name) or self._ledger.entry(source.name)
        asked = self._asked(source, before)

        def on_frames(frames: int) -> None:
            if self._should_stop():
                raise _InterruptedError
            self._on_event(Writing(source=source.name, frames=frames, number=number, total=total))

        on_frames(0)
        answer = process.do(asked, on_frames=on_frames)
        if isinstance(answer, NotRedacted):
            self._failures[source.name] = answer.reason
            self._starved += answer.is_memory
            self._entries.pop(source.name, None)
            return
        self._failures.pop(source.name, None)
        if answer.is_same and before is not None:
            self._entries[source.name] = replace(before, redacted=replace(before.redacted, is_same=True))
            return
        is_new_round = before is not None and before.redacted.base == answer.base
        entry = Entry(
            name=source.name,
            size_bytes=place_below(self._out / UNPROVEN, answer.target).stat().st_size,
            redacted=answer,
            covered=asked.found if is_new_round else (),
            rounds=before.rounds if before is not None and is_new_round and asked.found else (),
        )
        self._note(entry)

    def _asked(self, source: Source, before: Entry | None) -> RedactSource:
        """What is asked of the process, knowing what was written before."""
        if before is None:
            return RedactSource(source=source)
        again = before.covered
        if self._is_to_be_done_again(source.name):
            again += tuple((one.frame, one.box, one.score, len(before.rounds)) for one in before.found or ())
        there = self._place(before)
        is_there = there.is_file() and there.stat().st_size == before.size_bytes
        return RedactSource(
            source=source,
            found=tuple(sorted(set(again))),
            base=before.redacted.base,
            key=before.redacted.key if is_there else None,
        )

    def _place(self, entry: Entry) -> Path:
        return place_below(self._out / (REDACTED if entry.is_proven else UNPROVEN), entry.redacted.target)

    def _note(self, entry: Entry) -> None:
        self._entries[entry.name] = entry
        self._ledger.note(entry)

    def _prove(self) -> None:
        """Has the detectors look at what nobody has looked at, and moves to its place what shows no face."""
        fresh = [entry for entry in self._entries.values() if entry.found is None]
        if fresh and self._detectors:
            options: Mapping[str, Any] = self._options
            told = {name: options[name] for table in _LOOKING for name in declared(table)}
            found, summaries = look_at_written(
                self._out / UNPROVEN,
                self._out / PROOF,
                [entry.redacted.key for entry in fresh],
                detectors=self._detectors,
                options=told,
                on_event=self._on_event,
                should_stop=self._should_stop,
            )
            for summary in summaries:
                self._take(summary)
            for entry in fresh:
                left = tuple(unexpected(found.get(entry.redacted.target, ()), entry.redacted))
                self._note(replace(entry, found=left, rounds=(*entry.rounds, len(left))))
        for entry in list(self._entries.values()):
            if not entry.is_proven and not entry.found:
                self._move(entry)

    def _move(self, entry: Entry) -> None:
        target = place_below(self._out / REDACTED, entry.redacted.target)
        make_folder(self._out / REDACTED, share=self._options["share"])
        below = Path(entry.redacted.target).parent
        make_folders_below(self._out / REDACTED, below, share=self._options["share"])
        here = self._place(entry)
        if here.is_file():
            here.replace(target)
        self._note(replace(entry, is_proven=True))

    def _summary(self, *, outcome: str) -> RedactSummary:
        """How it ended."""
        items = (
            RedactedItem(name=entry.name, redacted=entry.redacted, found=entry.found or (), rounds=entry.rounds)
            for entry in self._entries.values()
        )
        for name, reason in self._failures.items():
            self._on_event(Notice(kind="not_redacted", text=f"{name} was not written: {reason}"))
        return RedactSummary(
            items=tuple(items),
            failures=tuple(f"{name}: {reason}" for name, reason in self._failures.items()),
            out=self._out,
            report=self._out / REPORT,
            seconds=time.monotonic() - self._started,
            seconds_of=dict(self._seconds),
            peak_bytes=max(self._peak_bytes, peak_bytes()),
            budget_bytes=self._budget_bytes,
            detectors=tuple(self._detectors),
            outcome=outcome,
        )
