"""A worker process on a node of a cluster, seen from the supervisor by way of its relay."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Protocol

from faceloom.errors import FaceloomError, StoreError
from faceloom.messages import Answer, Do, Fatal, Held, Request, Sent
from faceloom.store.places import place_below
from faceloom.store.privacy import make_folders_below, opener
from faceloom.supervisor.workers import WorkerDiedError, death_in_words
from faceloom.targets import WorkerNode


class RelayCalls(Protocol):
    """A relay, wherever it is; every call raises WorkerLostError where it is out of reach."""

    def begin(self) -> int:
        """The id of the worker's process."""

    def write(self, told: bytes) -> None:
        """Gives the worker what it is told, some time."""

    def read(self) -> tuple[bytes, int]:
        """What the worker has said since the last call, and the RAM that the relay has held at most."""

    def death(self) -> tuple[int, bytes]:
        """The exit code of a worker that says no more, and the end of what it left on its error stream."""

    def end(self) -> None:
        """Ends the worker."""


class RelayedWorker:
    """A worker process that a relay holds."""

    def __init__(self, relay: RelayCalls, node: WorkerNode, *, share: bool) -> None:
        """A worker on this node; `share` says whether the umask decides who may read the files that it sends."""
        self._relay = relay
        self._node = node
        self._share = share
        self._stream = _SaidStream(self._more)
        self._folders: dict[int, Path] = {}
        """Where the files of the chunks belong that it has been told of, if it does not see that place."""
        self._relay_bytes = 0
        self.pid = 0
        self.waiting_bytes = 0

    def send(self, request: Request) -> None:
        if isinstance(request, Do) and not self._node.sees_folder:
            assert request.folder is not None
            self._folders[request.chunk.number] = request.folder
            request = replace(request, folder=None)
        self._relay.write(pickle.dumps(request, protocol=pickle.HIGHEST_PROTOCOL))

    def receive(self) -> tuple[Held, Answer]:
        self.pid = self.pid or self._relay.begin()
        try:
            while True:
                before = self._stream.carried_bytes
                held, answer = self._stream.load()
                if not isinstance(answer, Sent):
                    self.waiting_bytes = self._stream.carried_bytes - before
                    return held, answer
                self._keep(answer)
        except FaceloomError as error:
            return Held(), Fatal(error)

    def _more(self) -> bytes:
        said, self._relay_bytes = self._relay.read()
        if not said:
            code, words = self._relay.death()
            raise WorkerDiedError(f"{self._node.name}: {death_in_words(code, words.decode(errors='replace'))}")
        return said

    def _keep(self, sent: Sent) -> None:
        """Writes a file of a chunk to where it belongs; it counts when the chunk's rows do."""
        folder = self._folders[sent.number]
        root = folder.parent.parent
        place = place_below(root, f"{folder.parent.name}/{folder.name}/{sent.place}")
        try:
            make_folders_below(root, PurePath(place.relative_to(root)).parent, share=self._share)
            with open(place, "wb", opener=opener(share=self._share)) as file:  # Path.open has no opener
                file.write(sent.content)
        except OSError as error:
            message = f"{place} cannot be written ({error.strerror}); mend that and run the same command again"
            raise StoreError(message, path=place) from error

    def held_bytes(self, told: Held) -> int:
        return self.peak_bytes(told)

    def peak_bytes(self, told: Held) -> int:
        return told.peak_bytes + self._relay_bytes

    def end(self) -> None:
        self._relay.end()

    def close(self) -> None:
        self._folders.clear()


class _SaidStream:
    """What a worker says, as `pickle` reads it from a file."""

    def __init__(self, more: Callable[[], bytes]) -> None:
        self._more = more
        self._waiting = bytearray()
        self.carried_bytes = 0

    def load(self) -> tuple[Held, Answer]:
        """The next answer."""
        answer: tuple[Held, Answer] = pickle.load(self)
        return answer

    def read(self, size: int) -> bytes:
        while len(self._waiting) < size:
            self._fill()
        return self._take(size)

    def readline(self) -> bytes:
        while b"\n" not in self._waiting:
            self._fill()
        return self._take(self._waiting.index(b"\n") + 1)

    def _fill(self) -> None:
        more = self._more()
        self.carried_bytes += len(more)
        self._waiting += more

    def _take(self, size: int) -> bytes:
        taken = bytes(self._waiting[:size])
        del self._waiting[:size]
        return taken
