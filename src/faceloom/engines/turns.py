"""Turns: calls go to a device one at a time, the inputs of the next one are there already, and its work is timed."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

AHEAD = 1
"""How many calls have their inputs on the device while another runs; a footprint counts them."""


class Turns:
    """The turns of all networks of one engine."""

    def __init__(self) -> None:
        self._places = threading.BoundedSemaphore(1 + AHEAD)
        self._turn = threading.Lock()
        self.busy_s = 0.0
        """Seconds in which the device has worked."""

    @contextmanager
    def place(self) -> Iterator[None]:
        """Where a call may have its inputs on the device; it waits for one that is free."""
        with self._places:
            yield

    @contextmanager
    def turn(self) -> Iterator[None]:
        """The device is this call's alone; calls that took turns would hold the activations of both."""
        with self._turn:
            started = time.perf_counter()
            try:
                yield
            finally:
                self.busy_s += time.perf_counter() - started

    def add(self, seconds: float) -> None:
        """Notes work that the device has timed itself."""
        with self._turn:
            self.busy_s += seconds
