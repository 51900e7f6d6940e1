"""What Ctrl-C and SIGTERM do to a run."""

import os
import signal
from types import FrameType
from typing import Any, Self


class Terminated(BaseException):
    """SIGTERM came."""


class Interrupts:
    """The first Ctrl-C lets the chunk in hand be finished, the second drops it; SIGTERM drops it at once."""

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {
            signal.SIGINT: signal.signal(signal.SIGINT, self._interrupt),
            signal.SIGTERM: signal.signal(signal.SIGTERM, self._terminate),
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def should_stop(self) -> bool:
        """Whether Ctrl-C has been pressed."""
        return self._asked

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        # Written straight to the descriptor: the signal may have come in the middle of a print.
        os.write(2, b"\nfaceloom: finishing the chunk in hand; Ctrl-C again drops it\n")

    def _terminate(self, _number: int, _frame: FrameType | None) -> None:
        raise Terminated
