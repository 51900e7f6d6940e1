"""Remote files: objects and archives that fsspec reads, listed and fetched to where they can be read like others.

It is imported when a job has such inputs, and is in the extra `remote`.
"""

import hashlib
import itertools
import random
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from faceloom.errors import FaceloomError, MediaError, RequestError
from faceloom.media.parts import ByteRange
from faceloom.media.sources import RemoteAddress, printable

MARK = "://"
"""What an address has and no path that the file system gives."""
_SIGNED = re.compile(r"(?i)(?:^|&)(?:X-Amz-Signature|X-Goog-Signature|Signature|sig|token)=")
_QUERY = re.compile(r"\?[^\s'\"<>]*")
_USER = re.compile(r"(?<=://)[^/@\s]*@")
_LONGEST_WORDS = 300
_ARCHIVES: Mapping[str, str] = {".zip": "zip", ".tar": "tar", ".tgz": "tar", ".tar.gz": "tar"}
_TAGS = ("ETag", "etag", "md5Hash", "content_md5", "CRC", "chksum")
_TIMES = ("LastModified", "last_modified", "mtime", "created", "date_time")
"""What tells that an object is another now, by what fsspec's file systems call it; times where there is no more."""
_BLOCK_BYTES = 1 << 18
_PART_BYTES = 1 << 23
"""Of one request for a part of an object, which is held in memory, by each of the connections."""
TRIES = 6
FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 20.0
_FINAL = (FileNotFoundError, PermissionError, NotImplementedError, KeyError, FaceloomError)
"""Of what asking again does not help."""
_EXPIRED = "FileExpired"
"""The error of s3fs where an object has another ETag than it had."""
Answer = TypeVar("Answer")


def is_remote(text: str) -> bool:
    """Whether an input is an address, as in s3://bucket/prefix, and no path."""
    return MARK in text


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """An object, or a member of an archive."""

    name: str
    """Below the address that was given, as files below a folder."""
    address: RemoteAddress
    """Without what is secret in it."""
    files: "RemoteFiles | None" = None
    path: str = ""
    """As its file system has it."""
    problem: str | None = None
    """Why it cannot be fetched, if that is known already."""

    @property
    def size_bytes(self) -> int | None:
        """None where nothing tells before it is fetched."""
        return self.address.size_bytes or None

    def now(self) -> "RemoteFile":
        """The same as it is there now.

        Raises:
            Exception: whatever a file system raises.
        """
        assert self.files is not None
        told = _file(self.files, self.path, self.name, "", self.files.facts(self.path)).address
        tag = self.address.tag if _NO_TAG in {told.tag, self.address.tag} else told.tag
        return replace(self, address=replace(told, url=self.address.url, tag=tag))

    def require_same(self) -> None:
        """Asks whether the object is still what it was.

        Raises:
            ChangedError: it is not.
            Exception: whatever a file system raises.
        """
        if self.now().address != self.address:
            raise ChangedError("it has changed while it was fetched")


class ChangedError(MediaError):
    """An object is another now than when it was listed."""


class RemoteFiles:
    """One file system of fsspec, as it was opened for an address."""

    def __init__(self, system: Any, *, is_archive: bool) -> None:
        self.system = system
        self.is_archive = is_archive
        # The members of an archive are read through one file, which has one place at a time.
        self._lock = threading.Lock() if is_archive else None

    def facts(self, path: str) -> Mapping[str, Any]:
        """What is told of an object, asked anew."""
        self.system.invalidate_cache(path)
        facts: Mapping[str, Any] = self.system.info(path)
        return facts

    @contextmanager
    def _as_listed(self, path: str, **told: Any) -> Iterator[Any]:
        """An object, opened; S3 is asked for it only as far as it is still what was listed.

        Raises:
            ChangedError: it is not.
        """
        try:
            with self.system.open(path, "rb", **told) as file:
                yield file
        except OSError as error:
            if type(error).__name__ == _EXPIRED:
                raise ChangedError("it has changed while it was fetched") from error
            raise

    def read(self, path: str, first: int, stop: int) -> bytes:
        """Some bytes of an object, in one request.

        Raises:
            OSError: others came, or fewer.
            Exception: whatever a file system raises.
        """
        with self._as_listed(path, block_size=_PART_BYTES, cache_type="none") as file:
            return _part(file, first, stop)

    def fetch_ranges(self, path: str, target: Path, ranges: Sequence[ByteRange], *, stop: threading.Event) -> None:
        """Writes parts of an object to where they are in a file that is there, as long as all of it.

        What breaks off is gone on with where it was.

        Raises:
            MediaError: nobody waits for it any more.
            Exception: whatever a file system raises at last.
        """
        cut = [(at, min(end, at + _PART_BYTES)) for begin, end in ranges for at in range(begin, end, _PART_BYTES)]
        left = deque(cut)

        def fetch() -> None:
            with self._as_listed(path, block_size=_PART_BYTES, cache_type="none") as file:
                while left:
                    if stop.is_set():
                        raise MediaError("was not waited for")
                    copy.seek(left[0][0])
                    copy.write(_part(file, *left[0]))
                    left.popleft()

        with target.open("r+b") as copy:
            while left:
                before = len(left)
                try:
                    patiently(fetch, stop)
                except Exception:
                    if len(left) == before:
                        raise

    def fetch(self, path: str, target: Path, *, most_bytes: int, stop: threading.Event) -> int:
        """Writes an object to a file, and gives its size.

        Raises:
            MediaError: it is larger than it may be, or nobody waits for it any more.
            Exception: whatever a file system raises.
        """
        if self._lock is None:
            return self._fetch(path, target, most_bytes, stop)
        with self._lock:
            return self._fetch(path, target, most_bytes, stop)

    def _fetch(self, path: str, target: Path, most_bytes: int, stop: threading.Event) -> int:
        size = 0
        told = {"block_size": _BLOCK_BYTES * 16, "cache_type": "readahead"}
        with self._as_listed(path, **told) as file, target.open("wb") as copy:
            while block := file.read(_BLOCK_BYTES):
                size += len(block)
                if size > most_bytes:
                    raise MediaError(f"is larger than {most_bytes:,} bytes, which is half of the scratch")
                if stop.is_set():
                    raise MediaError("was not waited for")
                copy.write(block)
        return size


def _part(file: Any, first: int, stop: int) -> bytes:
    try:
        file.seek(first)
        content = bytes(file.read(stop - first))
    except ValueError as error:  # of a server of the web that sends all whatever it is asked for
        raise MediaError(f"parts cannot be had: {in_words(error)}") from error
    if len(content) != stop - first:
        raise OSError(f"{len(content):,} bytes came, not {stop - first:,}")
    return content


def find_remote(address: str, *, prefix: str | None = None) -> Iterator[RemoteFile]:
    """Every object under an address, in order: one, all below a prefix, or the members of an archive.

    Args:
        address: of fsspec: s3://bucket/prefix, https://host/a.mp4, zip://::s3://bucket/a.zip; an address of an archive
            stands for its members, one of the web that does not end with a slash for a file.
        prefix: what names begin with, for an entry of a list, which is an object with a problem if there is nothing;
            the last part of the address for what is one object or archive, if left out.

    Raises:
        RequestError: fsspec, or what it needs for this kind of address, is not installed.
        MediaError: it cannot be listed.
    """
    shown = without_secrets(address)
    protocol = _ARCHIVES.get(_suffix(shown)) if "::" not in address else None
    if protocol is not None:
        yield from _found(f"{protocol}://::{address}", _last(shown) if prefix is None else prefix)
        return
    try:
        yield from _found(address, prefix)
    except MediaError as error:
        if prefix is None:
            raise
        told = RemoteAddress(url=printable(shown), size_bytes=0, tag=1)
        yield RemoteFile(name=prefix, address=told, problem=str(error))


def _found(address: str, prefix: str | None) -> Iterator[RemoteFile]:
    shown = without_secrets(address)
    system, root = _opened(address)
    files = RemoteFiles(system, is_archive="::" in address)
    name = _last(shown) if prefix is None else prefix
    try:
        if _is_web_file(address) or ("::" not in address and patiently(lambda: system.isfile(root))):
            yield _single(files, root, name, address)
            return
        for path, facts in _walk(system, root):
            below = _inside(path.removeprefix(root))
            if below:
                of_member = f"{prefix}/{below}" if prefix else below
                yield _file(files, path, of_member, _address_of(shown, path), facts)
    except FileNotFoundError as error:
        raise MediaError(f"there is nothing at {shown}") from error
    except Exception as error:  # whatever a file system raises
        raise MediaError(f"{shown} cannot be listed: {in_words(error)}") from error


def _single(files: "RemoteFiles", path: str, name: str, address: str) -> RemoteFile:
    """An object that was named itself; what is wrong with it costs only itself."""
    shown = without_secrets(address)
    try:
        return _file(files, path, name, shown, patiently(lambda: files.system.info(path)))
    except Exception as error:
        told = RemoteAddress(url=printable(shown), size_bytes=0, tag=1)
        return RemoteFile(name=name, address=told, problem=in_words(error))


def _is_web_file(address: str) -> bool:
    return address.startswith(("http://", "https://")) and not address.partition("?")[0].endswith("/")


def _inside(path: str) -> str:
    """A path of an object or member as the end of a name; nothing in it climbs out of where it lies."""
    return printable("/".join(part for part in path.split("/") if part not in {"", ".", ".."}))


def patiently(ask: Callable[[], Answer], stop: threading.Event | None = None) -> Answer:
    """Asks until there is an answer, after longer and longer waits, where that can help.

    The waits are drawn at random, so that many that were refused together do not come back together.

    Raises:
        Exception: what asking raised at last.
    """
    for attempt in itertools.count(1):
        try:
            return ask()
        except Exception as error:
            if isinstance(error, _FINAL) or attempt == TRIES or (stop and stop.is_set()):
                raise
            longest = min(_LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt)
            (stop or threading.Event()).wait(random.uniform(0, longest))
    raise AssertionError


def without_secrets(text: str) -> str:
    """An address, or a text with some, as it may be stored and shown.

    Without names and passwords of users, and without the query of an address that is signed.
    """
    return _QUERY.sub(lambda found: "" if _SIGNED.search(found[0][1:]) else found[0], _USER.sub("", text))


def in_words(error: BaseException) -> str:
    """An error of a file system on one line, without what is secret in addresses."""
    return without_secrets(f"{type(error).__name__}: {' '.join(str(error).split())}")[:_LONGEST_WORDS]


def _opened(address: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError as error:
        message = f"{without_secrets(address)} is no file of this machine; pip install 'faceloom[remote]' to reach it"
        raise RequestError(message) from error
    try:
        # Neither an archive nor a listing is as it was when this process has looked at it before.
        options = {"skip_instance_cache": True} if "::" in address else {}
        system, root = fsspec.core.url_to_fs(address, **options)
        system.invalidate_cache()
    except ImportError as error:
        raise RequestError(f"{without_secrets(address)} cannot be read here: {error}") from error
    except ValueError as error:
        raise RequestError(f"{without_secrets(address)} is no address that fsspec knows: {error}") from error
    except Exception as error:
        raise MediaError(f"{without_secrets(address)} cannot be opened: {in_words(error)}") from error
    return system, str(root).rstrip("/")


def _walk(system: Any, root: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every file under a place, folder by folder, each in the order of its names."""
    open_folders = [root]
    is_empty = True
    while open_folders:
        place = open_folders.pop()
        entries = list(patiently(partial(system.ls, place, detail=True)))
        entries.sort(key=lambda entry: entry["name"], reverse=True)
        is_empty = is_empty and not entries
        for entry in [one for one in entries if one["type"] != "directory"][::-1]:
            if not entry["name"].endswith("/"):  # what stands for a folder in a bucket
                yield entry["name"], entry
        open_folders += [entry["name"] for entry in entries if entry["type"] == "directory"]
    if is_empty:
        raise FileNotFoundError(root)


def _file(files: RemoteFiles, path: str, name: str, address: str, facts: Mapping[str, Any]) -> RemoteFile:
    tag = next((facts[key] for key in (*_TAGS, *_TIMES) if facts.get(key) is not None), "")
    text = tag.isoformat() if isinstance(tag, datetime) else str(tag)
    told = RemoteAddress(url=printable(address), size_bytes=int(facts.get("size") or 0), tag=_number(text))
    return RemoteFile(name=name, address=told, files=files, path=path)


def _number(tag: str) -> int:
    # Zero is what is said of a file that is gone.
    return int.from_bytes(hashlib.sha256(tag.encode()).digest()[:8], "big") >> 1 or 1


_NO_TAG = _number("")


def _address_of(shown: str, path: str) -> str:
    """The address of what is under a given one."""
    first, chained, rest = shown.partition("::")
    protocol = first.partition(MARK)[0]
    return f"{protocol}{MARK}{path.removeprefix(f'{protocol}{MARK}').lstrip('/')}{chained}{rest}"


def _suffix(address: str) -> str:
    name = _last(address).lower()
    return ".tar.gz" if name.endswith(".tar.gz") else PurePosixPath(name).suffix


def _last(address: str) -> str:
    return printable(PurePosixPath(address.partition("?")[0]).name)


def listed_name(address: str) -> str:
    """The name of an address in a list: all of it but for what is secret, as a path."""
    text = without_secrets(address).replace("::", "/").replace(MARK, "/")
    parts = (part for part in text.split("/") if part not in {"", ".", ".."})
    return printable("/".join(parts))


def refuse_address(out: object) -> None:
    """To be called with where results are to be written, if that has to be a place of this machine.

    Raises:
        RequestError: it is an address.
    """
    if isinstance(out, str) and is_remote(out):
        shown = without_secrets(out)
        message = f"{shown} is no place on this machine, where a store and what is made of it have to lie"
        hint = f"name a folder here, and have it copied: --publish {shown} of extract, or faceloom publish DIR {shown}"
        raise RequestError(f"{message}; {hint}")


class RemoteFolder:
    """A place that files are copied to."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._system, self._root = _opened(address)

    def sizes(self, below: str) -> dict[str, int]:
        """The sizes in bytes of the files in a folder below it, by name; none where there is no such folder.

        Raises:
            MediaError: it cannot be listed.
        """
        place = f"{self._root}/{below}"
        try:
            entries = patiently(lambda: self._system.ls(place, detail=True))
        except FileNotFoundError:
            return {}
        except Exception as error:
            raise MediaError(f"{without_secrets(self._address)} cannot be listed: {in_words(error)}") from error
        return {PurePosixPath(one["name"]).name: int(one.get("size") or 0) for one in entries if one["type"] == "file"}

    def is_there(self) -> bool:
        """Whether there is anything at this place.

        Raises:
            MediaError: nobody tells.
        """
        try:
            self._system.invalidate_cache()
            return bool(patiently(lambda: self._system.exists(self._root)))
        except Exception as error:
            raise MediaError(f"{without_secrets(self._address)} cannot be looked at: {in_words(error)}") from error

    def remove(self, below: str) -> None:
        """Removes a file below it.

        Raises:
            MediaError: it cannot be removed.
        """
        try:
            patiently(lambda: self._system.rm_file(f"{self._root}/{below}"))
        except Exception as error:
            shown = f"{without_secrets(self._address)}/{below}"
            raise MediaError(f"{shown} cannot be removed: {in_words(error)}") from error

    def put(self, path: Path, below: str = "") -> None:
        """Copies a file to a place below it, or to the place itself, where it is in the place of what is there.

        Raises:
            MediaError: it cannot be written.
        """
        place = f"{self._root}/{below}" if below else self._root

        def put() -> None:
            try:
                self._system.put_file(str(path), place)
            except FileNotFoundError:  # a store of objects has no folders, and others make none by themselves
                self._system.makedirs(place.rpartition("/")[0], exist_ok=True)
                self._system.put_file(str(path), place)

        try:
            patiently(put)
        except Exception as error:
            shown = without_secrets(self._address) + (f"/{below}" if below else "")
            raise MediaError(f"{shown} cannot be written: {in_words(error)}", path=path) from error
