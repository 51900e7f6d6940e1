"""The crew: worker processes, what each has been told and not yet answered, and one ear for all their answers."""

import queue
import threading
from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import Self

from faceloom.memory.usage import held_bytes
from faceloom.run.job import Target
from faceloom.run.messages import Answer, Begin, Confine, Died, Fatal, Held, Look, Reading, Request
from faceloom.run.process import WorkerDiedError, WorkerProcess

ON_HOST = Target()
"""Whom any process of this machine is for."""


class Member:
    """One worker process and the requests that it has not answered."""

    def __init__(self, heard: "queue.SimpleQueue[tuple[Member, Answer]]", target: Target) -> None:
        self._heard = heard
        self.target = target
        """The device that it is for."""
        self._process = WorkerProcess(dict(target.device.environment))
        self.open: deque[Request] = deque()
        self.held = Held()
        """What the process holds, as far as it has said."""
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
                self.held, answer = self._process.receive()
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

    def hire(self, number: int, first: Begin | Confine | None = None, *, on: Target = ON_HOST) -> None:
        """Starts members until there are so many on a device, and tells the new ones something first, which has no
        answer.

        A job is told to all that are fresh.
        """
        present = self.on(on)
        hired = tuple(Member(self._heard, on) for _ in range(number - len(present)))
        self.members += hired
        for member in present + hired if isinstance(first, Begin) else hired:
            if first is not None and member.is_fresh:
                member.send(first)

    def on(self, target: Target) -> tuple[Member, ...]:
        """The members that are for a device."""
        return tuple(member for member in self.members if member.target.name == target.name)

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

        A member that `Died`, or on a card said why it cannot go on, has to be dismissed; its open requests are still in
        its list.

        Raises:
            FaceloomError: another member said why it cannot go on.
        """
        while True:
            member, answer = self._heard.get()
            if member not in self.members:
                continue
            self.peak_bytes = max(self.peak_bytes, sum(member.held.peak_bytes for member in self.members))
            if isinstance(answer, Fatal) and not member.target.has_memory:
                raise answer.error
            answers_one = not isinstance(answer, Reading | Died | Fatal)
            return member, member.open.popleft() if answers_one else None, answer
