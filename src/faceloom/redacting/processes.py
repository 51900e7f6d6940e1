"""The process that sees pictures, as the command sees it."""

import contextlib
import os
import pickle
import signal
import subprocess
import tempfile
from types import TracebackType
from typing import Self

from faceloom.early import WORKER_SETTINGS
from faceloom.isolation import module_command, module_environment
from faceloom.memory.usage import peak_bytes
from faceloom.redacting.messages import Moving, NotRedacted, Redacted, Redaction, RedactSource
from faceloom.redacting.written import OnFrames

_LAST_WORDS_BYTES = 2000
_SETTINGS = {**WORKER_SETTINGS, "OMP_NUM_THREADS": "1"}


class RedactingProcess:
    """Writes sources in a process of its own; one that dies is replaced, and costs the source that it had in hand."""

    def __init__(self, told: Redaction) -> None:
        """A process that is told this; it starts when it is first needed."""
        self._told = told
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by __exit__
        self.peak_bytes = 0
        """The most that it has held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._errors.close()

    def do(self, asked: RedactSource, *, on_frames: OnFrames) -> Redacted | NotRedacted:
        """Writes a source; what became of it."""
        try:
            process = self._started()
            self._send(process, asked)
            while True:
                assert process.stdout is not None
                peak, answer = pickle.load(process.stdout)
                self.peak_bytes = max(self.peak_bytes, peak)
                if not isinstance(answer, Moving):
                    return answer  # type: ignore[no-any-return]
                on_frames(answer.frames)
        except (EOFError, OSError, pickle.UnpicklingError):
            return NotRedacted(reason=f"the process that was writing it ended {self._how_it_ended()}")

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            self._process = subprocess.Popen(
                module_command("faceloom.redacting"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={**_SETTINGS, **os.environ, **module_environment()},
            )
            self._send(self._process, self._told)
        return self._process

    @staticmethod
    def _send(process: "subprocess.Popen[bytes]", told: Redaction | RedactSource) -> None:
        assert process.stdin is not None
        pickle.dump(told, process.stdin)
        process.stdin.flush()

    def _how_it_ended(self) -> str:
        assert self._process is not None
        code = self._process.wait()
        self._end()
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - _LAST_WORDS_BYTES))
        words = self._errors.read().decode(errors="replace").strip().splitlines()
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return how + (f" ({words[-1]})" if words else "")

    def _end(self) -> None:
        if self._process is None:
            return
        self.peak_bytes = max(self.peak_bytes, peak_bytes(self._process.pid))
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]
        self._process = None
