"""The crew: worker processes, what each has been told and not yet answered, and one ear for all their answers."""

import queue
import threading
from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import Self

from faceloom.memory.usage import held_bytes
from faceloom.run.messages import Answer, Begin, Confine, Died, Fatal, Look, Reading, Request
from faceloom.run.process import WorkerDiedError, WorkerProcess


class Member:
    """One worker process and the requests that it has not answered."""

    def __init__(self, heard: "queue.SimpleQueue[tuple[Member, Answer]]") -> None:
        self._heard = heard
        self._process = WorkerProcess()
        self.open: deque[Request] = deque()
        self.peak_bytes = 0
        """Most that the process has held, as far as it has said."""
        self.is_fresh = True
        """It has been confined and has looked at a few headers at most: it holds what a new one holds."""
        self._requests = 0
        self._thread = threading.Thread(target=self._listen, name="faceloom-ear", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def send(self, request: Request) -> None:
        """Tells the worker something; if it is dead, that is heard in place of an answer."""
        if not isinstance(request, Confine):
            self._requests += 1
            self.is_fresh = isinstance(request, Look) and self._requests == 1
        if not isinstance(request, Begin | Confine):
            self.open.append(request)
        with suppress(WorkerDiedError):
            self._process.send(request)

    def end(self) -> None:
        """Ends the process at once: what it was doing has not been committed."""
        self._process.end()
        self._thread.join()
        self._process.close()

    def _listen(self) -> None:
        while True:
            try:
                self.peak_bytes, answer = self._process.receive()
            except WorkerDiedError as death:
                answer = Died(str(death))
            self._heard.put((self, answer))
            if isinstance(answer, Died | Fatal):
                return


class Crew:
    """The members there are; answers of those that are gone are not heard."""

    def __init__(self) -> None:
        self._heard: queue.SimpleQueue[tuple[Member, Answer]] = queue.SimpleQueue()
        self.members: list[Member] = []
        self.peak_bytes = 0
        """Most that the members there were at one time have held, each at its own peak."""

    def hire(self, number: int, first: Begin | Confine | None = None) -> None:
        """Starts members until there are so many, and tells the new ones something first, which has no answer.

        A job is told to all that are fresh.
        """
        present = len(self.members)
        while len(self.members) < number:
            self.members.append(Member(self._heard))
        for member in self.members if isinstance(first, Begin) else self.members[present:]:
            if first is not None and member.is_fresh:
                member.send(first)

    def dismiss(self, *members: Member) -> None:
        """Ends members; all of them if none are named."""
        for member in members or tuple(self.members):
            self.members.remove(member)
            member.end()

    @property
    def used(self) -> tuple[Member, ...]:
        """The members that can be told a job no more."""
        return tuple(member for member in self.members if not member.is_fresh)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.dismiss()

    @property
    def held_bytes(self) -> int:
        """RAM of all members now."""
        return sum(held_bytes(member.pid) for member in self.members)

    def receive(self) -> tuple[Member, Request | None, Answer]:
        """The next answer of any member, and its oldest open request, which that answers; `Reading` answers none.

        A member that `Died` has to be dismissed; its open requests are still in its list.

        Raises:
            FaceloomError: a member said why it cannot go on.
        """
        while True:
            member, answer = self._heard.get()
            if member not in self.members:
                continue
            self.peak_bytes = max(self.peak_bytes, sum(member.peak_bytes for member in self.members))
            if isinstance(answer, Fatal):
                raise answer.error
            answers_one = not isinstance(answer, Reading | Died)
            return member, member.open.popleft() if answers_one else None, answer
