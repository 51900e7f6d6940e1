"""Remaking behind the page: a process of its own looks anew at faces that were added or moved, some moments later.

The page's process runs no network. What is made is seen when the page next looks for what others have changed.
"""

import json
import subprocess
import threading
from pathlib import Path

from faceloom.isolation import module_command, module_environment
from faceloom.memory.usage import held_bytes
from faceloom.units import MIB

_QUIET_S = 0.6
"""Since the last thing that was said: somebody who moves points says more than one."""
_MOST_TOLD = 300


class Remaker:
    """A thread that has faces of a folder made anew, some moments after it is asked to."""

    def __init__(self, folder: Path, *, budget_bytes: int | None) -> None:
        self._folder = folder
        self._budget_bytes = budget_bytes
        self._changed = threading.Condition()
        self._asked = self._done = 0
        self._is_ended = False
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self.is_making = False
        self.problem = ""
        """Why faces could not be made the last time, in words."""

    def ask(self) -> None:
        """Has faces made anew, soon."""
        with self._changed:
            self._asked += 1
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="remaker")
                self._thread.start()

    def wait(self) -> None:
        """Waits until what was asked for has been tried."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_ended or (self._done == self._asked and not self.is_making))

    def close(self) -> None:
        """Ends what is under way; what it has not kept is made by the next run."""
        with self._changed:
            self._is_ended = True
            self._changed.notify_all()
            if self._process is not None:
                self._process.kill()
        if self._thread is not None:
            self._thread.join()

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_ended or self._asked > self._done)
                while not self._is_ended and self._changed.wait(_QUIET_S):  # until nothing was said for so long
                    pass
                if self._is_ended:
                    return
                self._done, self.is_making = self._asked, True
                self._process = self._started()
            out, problem = self._process.communicate()
            with self._changed:
                self.is_making, self._process = False, None
                self.problem = _problem(out, problem)
                self._changed.notify_all()

    def _started(self) -> "subprocess.Popen[str]":
        memory: list[str] = []
        if self._budget_bytes is not None:  # of the page, and what it starts
            memory = ["--memory", f"{max(1, (self._budget_bytes - held_bytes()) // MIB)}MiB"]
        command = module_command("faceloom", "remake", str(self._folder), "--json", "--quiet", *memory)
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=module_environment()
        )


def _problem(out: str, told: str) -> str:
    """What a process says that it could not do."""
    try:
        answer = json.loads(out)
    except ValueError:
        answer = {"error": {"message": told.strip() or "the process that makes faces anew ended by itself"}}
    if "error" in answer:
        return str(answer["error"]["message"])[:_MOST_TOLD]
    return "; ".join(map(str, answer.get("left", ())))[:_MOST_TOLD]
