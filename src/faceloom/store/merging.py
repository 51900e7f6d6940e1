"""Merging: result folders of one job, made by several machines, become one, as one run would have made it."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from faceloom.errors import RequestError
from faceloom.events import (
    CHIPS_LOST,
    NOT_CARRIED,
    NOT_GROUPED,
    OTHER_VERSIONS,
    SHARDS_MISSING,
    Counting,
    Notice,
    OnEvent,
)
from faceloom.media.remote import refuse_address
from faceloom.media.shards import Shard
from faceloom.options.calls import MergeOptions
from faceloom.options.keywords import takes
from faceloom.options.stages import PathLike
from faceloom.store.claims import Claims, open_claims
from faceloom.store.given_folders import (
    FolderFacts,
    facts_of,
    in_words,
    missing_shards,
    opened,
    require_one_configuration,
)
from faceloom.store.intake import Taken
from faceloom.store.store import Store

_SOURCES_A_TRANSACTION = 100
_FRAMES_A_TRANSACTION = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """How result folders became one, in numbers."""

    folders: int
    missing: tuple[str, ...]
    """Shards that were not there."""
    sources: int
    """That were taken in, as the next three."""
    frames: int
    faces: int
    files: int
    """Chips and overlays."""
    known: int
    """Sources that were there before, and were left as they are."""
    forgotten: int
    """Sources that were forgotten there, and are left out."""
    lost: int
    """Chips that were not there, or not whole; the command that made the folders makes them again."""

    def to_json(self) -> dict[str, Any]:
        """Gives it as `merge --json` prints it."""
        return {name: getattr(self, name) for name in self.__slots__} | {"missing": list(self.missing)}


@takes(MergeOptions)
def merge(
    folders: PathLike | Iterable[PathLike],
    out: PathLike,
    *,
    on_event: OnEvent = lambda event: None,
    **options: Unpack[MergeOptions],
) -> Merged:
    """Puts result folders together that were made with the same configuration, as the shards of one job are.

    The new folder exports what one run over everything would have, byte for byte, and has the same chips. The folders
    are only read. Killed at any moment, the same call goes on; nothing that is in the new folder is overwritten.

    Args:
        folders: finished result folders: all shards of a job, or any whose sources have names of their own.
        out: a new or empty folder, or one of the same configuration.
        on_event: told how it goes on.
        options: as docs/options.md lists them.

    Raises:
        TypeError: there is no such keyword.
        RequestError: a shard is missing, unfinished or there twice, configurations differ, or two folders have a source
            of the same name.
        StoreError: a folder cannot be read, or holds what no run writes; or the new one cannot be written.
    """
    refuse_address(out)
    paths = [Path(folders)] if isinstance(folders, str | Path) else [Path(folder) for folder in folders]
    target = Path(out)
    _require_apart(paths, target)
    with open_claims(paths) as claims:
        facts = list(_looked_at(paths, claims))
        require_one_configuration(facts)
        missing = _missing(facts, is_partial=options["partial"])
        claims.settle()
        with Store(target, share=options["share"]) as store:
            store.configuration.hold_to(facts[0].config)
            store.begin_run(versions=facts[0].versions)
            merging = _Merging(store, on_event)
            merging.warn(facts, missing)
            merging.take_all(paths, claims, facts)
            return merging.end(len(paths), missing)


def _require_apart(paths: Sequence[Path], out: Path) -> None:
    if not paths:
        raise RequestError("no result folders were named")
    seen: set[Path] = set()
    for path in paths:
        if not path.is_dir():
            raise RequestError(f"there is no folder {str(path)!r}")
        resolved = path.resolve()
        if resolved in seen:
            raise RequestError(f"{path} is named twice")
        if resolved == out.resolve():
            raise RequestError(f"{path} cannot be merged into itself; choose another --out")
        seen.add(resolved)


def _looked_at(paths: Sequence[Path], claims: Claims) -> Iterator[FolderFacts]:
    for number, path in enumerate(paths):
        with opened(path) as given:
            claims.add(number, given.sources)
            yield facts_of(given)


def _missing(facts: Sequence[FolderFacts], *, is_partial: bool) -> list[Shard]:
    """The shards that are not there, which has to be asked for."""
    missing = missing_shards(facts)
    if missing and not is_partial:
        some = f"shard {in_words(missing)} is" if len(missing) == 1 else f"shards {in_words(missing)} are"
        raise RequestError(f"{some} not among these folders; name all of them, or ask for --partial")
    return missing


def _has_overlays(facts: FolderFacts) -> bool:
    return bool(facts.config.get("overlay") or facts.config.get("overlay_chips"))


class _Merging:
    """One call: what it has taken in so far, and what it has told."""

    def __init__(self, store: Store, on_event: OnEvent) -> None:
        self._store = store
        self._on_event = on_event
        self._numbers = itertools.count()
        self._taken = Taken()

    def warn(self, facts: Sequence[FolderFacts], missing: Sequence[Shard]) -> None:
        """Says what one run would have otherwise."""
        if missing:
            self._tell(SHARDS_MISSING, f"not among these folders: shards {in_words(missing)}; merge again with them")
        others = next((one for one in facts if one.versions != facts[0].versions), None)
        if others is not None:
            self._tell(OTHER_VERSIONS, _versions_in_words(facts[0], others))
        if any(one.has_persons for one in facts):
            text = f"persons were numbered in each folder by itself: faceloom group {self._store.folder} names them all"
            self._tell(NOT_GROUPED, text)

    def take_all(self, paths: Sequence[Path], claims: Claims, facts: Sequence[FolderFacts]) -> None:
        """All sources of all folders, and then what was corrected in them."""
        for number, path in enumerate(paths):
            self.take(path, claims.of(number), overlays=_has_overlays(facts[number]))
        for path in paths:
            self.carry(path)

    def take(self, path: Path, names: Iterator[str], *, overlays: bool) -> None:
        """All sources that come from a folder."""
        with opened(path) as given:
            for group in _groups(names, given.frames):
                self._taken += self._store.take_in(given, group, next(self._numbers), overlays=overlays)
                self._on_event(Counting(sources=self._taken.sources + self._taken.known, frames=self._taken.frames))
            self._store.take_notes(given)

    def carry(self, path: Path) -> None:
        """What was corrected in a folder, when all that there is to correct has been taken in."""
        for text in self._store.carry_corrections(path).told:
            self._tell(NOT_CARRIED, text)

    def end(self, folders: int, missing: Sequence[Shard]) -> Merged:
        """How it ended."""
        taken = self._taken
        if taken.lost:
            first = ", ".join(taken.first_lost) + (", ..." if taken.lost > len(taken.first_lost) else "")
            text = f"chips that were not there, or not whole: {first}; faceloom extract makes them again"
            self._tell(CHIPS_LOST, text)
        self._store.end_run(outcome="done", summary={})
        names = ("sources", "frames", "faces", "files", "known", "forgotten", "lost")
        numbers = {name: getattr(taken, name) for name in names}
        return Merged(folders=folders, missing=tuple(map(str, missing)), **numbers)

    def _tell(self, kind: str, text: str) -> None:
        self._store.add_event(kind, {"text": text})
        self._on_event(Notice(kind=kind, text=text))


def _groups(names: Iterator[str], frames: Callable[[str], int]) -> Iterator[list[str]]:
    """The names of sources that are taken in together: so many that a transaction is worth its while."""
    group: list[str] = []
    total = 0
    for name in names:
        group.append(name)
        total += frames(name)
        if total >= _FRAMES_A_TRANSACTION or len(group) == _SOURCES_A_TRANSACTION:
            yield group
            group, total = [], 0
    if group:
        yield group


def _versions_in_words(one: FolderFacts, other: FolderFacts) -> str:
    names = sorted({*one.versions, *other.versions})
    told = [(name, one.versions.get(name, "none"), other.versions.get(name, "none")) for name in names]
    lines = ", ".join(f"{name} {here} and {there}" for name, here, there in told if here != there)
    return f"{one.path} and {other.path} were made with other versions ({lines}): their faces may differ in last digits"
