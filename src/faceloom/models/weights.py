"""The weight cache: finds a pinned file by content, fetches it when it is nowhere, and prepares it for the engine.

Looked for in the user's cache, then in the folders of `FACELOOM_WEIGHTS` (by content, whatever the
file is called there), then at the catalog's places. Nothing is used before its sha256 has been seen.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import platformdirs

from faceloom.errors import StageError, WeightsError
from faceloom.faults import limit_in_words
from faceloom.isolation import module_command, module_environment
from faceloom.models.made import banded, find_made, note_made, sha256_of
from faceloom.models.places import OnBytes, fetch
from faceloom.stage import PinnedFile, Signature

CONVERTED = (".onnx", ".tflite", ".task", ".dat")
"""Suffixes of files that are made into ONNX with free axes before use."""
_PART = ".part"
LIMIT_S = 600
"""Seconds within which a network has to have been converted and, if it is the user's own, tried on noise."""
RECIPE = 3
"""Counts the changes to conversion; files prepared by another recipe are prepared again."""


def _unheard(_name: str, _done: int, _total: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightCache:
    """A folder of weight files, and further folders to look in before anything is fetched."""

    folder: Path
    mirrors: tuple[Path, ...] = ()

    @classmethod
    def of_user(cls) -> "WeightCache":
        """The cache of this user: `FACELOOM_CACHE`, else the platform's cache folder."""
        folder = os.environ.get("FACELOOM_CACHE") or platformdirs.user_cache_dir("faceloom", appauthor=False)
        mirrors = os.environ.get("FACELOOM_WEIGHTS", "").split(os.pathsep)
        return cls(folder=Path(folder), mirrors=tuple(Path(mirror) for mirror in mirrors if mirror))

    def find(self, pinned: PinnedFile) -> Path | None:
        """Where a whole and true copy of the file is on this machine, if anywhere."""
        candidates = (path for path in self._candidates(pinned) if _size(path) == pinned.size_bytes)
        return next((path for path in candidates if sha256_of(path) == pinned.sha256), None)

    def pull(self, pinned: PinnedFile, *, on_bytes: OnBytes = _unheard) -> Path:
        """The file, fetched if it is nowhere on this machine; a damaged copy in the cache is replaced.

        Raises:
            WeightsError: no place has it, or what a place has is not it.
        """
        found = self.find(pinned)
        if found:
            return found
        reasons = []
        for place in pinned.places:
            try:
                with self._fresh_file(self._own(pinned).parent, pinned.name) as fresh:
                    fetch(place, pinned, into=fresh, on_bytes=on_bytes)
                    _verify(fresh, pinned, place)
                    return fresh.replace(self._own(pinned))
            except WeightsError as error:
                reasons.append(str(error))
        tried = "; ".join(reasons) or "the catalog names no place"
        message = (
            f"weights {pinned.name!r} ({pinned.file}) are not on this machine and could not be fetched: {tried}. "
            f"Put the file into a folder, under any name, and name that folder in FACELOOM_WEIGHTS"
        )
        raise WeightsError(message, name=pinned.name, expected=pinned.sha256)

    def prepare(self, pinned: PinnedFile, *, on_bytes: OnBytes = _unheard) -> Path:
        """The network as ONNX with its free axes, made once from the pinned file; a checkpoint is the file itself.

        Made by a process of its own, since the tools it takes would stay in this one's memory.

        Raises:
            WeightsError: as `pull`, or the file cannot be converted.
            StageError: a network of the user's own does not end when it is tried.
        """
        if Path(pinned.file).suffix not in CONVERTED:
            return self.pull(pinned, on_bytes=on_bytes)
        folder = self.folder / "prepared"
        how = (*pinned.dynamic, *filter(None, (pinned.pixels, "tried" if pinned.path else "")))
        stem = f"{pinned.name}-{pinned.sha256[:16]}-{RECIPE}-{'-'.join(how)}"
        found = find_made(folder, stem)
        if found is not None:
            return found
        source = self.pull(pinned, on_bytes=on_bytes)
        with self._fresh_file(folder, pinned.name) as fresh, self._fresh_file(folder, pinned.name) as cut:
            _convert(source, fresh, cut, pinned)
            digests = [sha256_of(one) for one in (fresh, cut) if _size(one)]
            path = fresh.replace(folder / f"{stem}.{digests[0][:16]}.onnx")
            made = [path, *([cut.replace(banded(path))] if len(digests) > 1 else [])]
        with self._fresh_file(folder, pinned.name) as fresh:
            note_made(made, digests, fresh).replace(folder / f"{stem}.json")
        return path

    def signature(self, pinned: PinnedFile) -> Signature:
        """What the network takes and answers, read by a process of its own.

        Raises:
            WeightsError: as `prepare`.
        """
        told = _run_apart("faceloom.models.signature", [str(self.prepare(pinned))], pinned)
        inputs, outputs, (height, width), answered = json.loads(told)
        return Signature(
            inputs={name: tuple(shape) for name, shape in inputs.items()},
            outputs={name: tuple(shape) for name, shape in outputs.items()},
            tried=(height, width),
            answered={name: tuple(shape) for name, shape in answered.items()},
        )

    def _candidates(self, pinned: PinnedFile) -> Iterator[Path]:
        if pinned.path:
            yield pinned.path
        yield self._own(pinned)
        for mirror in self.mirrors:
            yield from sorted(mirror.iterdir()) if mirror.is_dir() else ()

    def _own(self, pinned: PinnedFile) -> Path:
        return self.folder / "files" / f"{pinned.sha256[:16]}-{pinned.file}"

    @contextmanager
    def _fresh_file(self, folder: Path, name: str) -> Iterator[Path]:
        """A temporary file in this folder of the cache; what is not moved away by the end of the block goes."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _sweep(folder)
            handle, temporary = tempfile.mkstemp(dir=folder, suffix=_PART)
            try:
                _is_ours(handle)
                yield Path(temporary)
            finally:
                os.close(handle)
                Path(temporary).unlink(missing_ok=True)
        except OSError as error:
            if limit_in_words(error) is not None:  # the folder is not to blame
                raise
            message = f"the weight cache {self.folder} cannot be written ({error}); name another in FACELOOM_CACHE"
            raise WeightsError(message, name=name) from error


def _sweep(folder: Path) -> None:
    """Removes what processes that were killed have left: nobody holds it."""
    for path in folder.glob(f"*{_PART}"):
        with suppress(OSError):
            handle = os.open(path, os.O_RDONLY)
            try:
                if _is_ours(handle):
                    path.unlink(missing_ok=True)
            finally:
                os.close(handle)


def _is_ours(handle: int) -> bool:
    """Takes a file for this process; whether no other has it."""
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _verify(path: Path, pinned: PinnedFile, place: str) -> None:
    actual = sha256_of(path)
    if actual != pinned.sha256:
        message = f"{place} gave other content (sha256 {actual}, expected {pinned.sha256})"
        raise WeightsError(message, name=pinned.name, expected=pinned.sha256, actual=actual)


def own_file(path: Path, stand_in_for: PinnedFile) -> PinnedFile:
    """A file of the user's own, pinned by what is in it now.

    Raises:
        WeightsError: it cannot be read.
    """
    try:
        digest, size = sha256_of(path), path.stat().st_size
    except OSError as error:
        raise WeightsError(f"the weights {path} cannot be read: {error}", name=stand_in_for.name) from error
    return replace(stand_in_for, file=path.name, sha256=digest, size_bytes=size, places=(), path=path)


def _convert(source: Path, target: Path, cut: Path, pinned: PinnedFile) -> None:
    module = "faceloom.models.trial" if pinned.path else "faceloom.models.convert"
    _run_apart(module, [pinned.file, str(source), str(target), str(cut), pinned.pixels, *pinned.dynamic], pinned)


def _run_apart(module: str, arguments: Sequence[str], pinned: PinnedFile) -> str:
    """What a module of ours prints, run in a process of its own."""
    command = module_command(module, *arguments)
    environment = {**os.environ, **module_environment()}
    # In a group of its own: Ctrl-C goes to the whole group of a terminal, and is for the process that asked to decide.
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, process_group=0, timeout=LIMIT_S
        )
    except subprocess.TimeoutExpired as error:
        message = f"weights {pinned.name!r} could not be prepared within {LIMIT_S} s: the network may never end"
        raise StageError(message, stage=pinned.name) from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        whose = str(pinned.path) if pinned.path else f"weights {pinned.name!r}"
        raise WeightsError(f"{whose} could not be prepared: {reason}", name=pinned.name)
    return done.stdout
