"""The process that sees pictures: it writes sources one after the other, spoken to over its standard streams."""

import os
import pickle
import signal
import sys
import time
from typing import BinaryIO

from faceloom.errors import BudgetError, FaceloomError
from faceloom.memory.ceilings import ProcessCeiling, is_out_of_memory
from faceloom.memory.usage import held_bytes, peak_bytes
from faceloom.redacting.messages import Moving, NotRedacted, Redacted, Redaction, RedactSource
from faceloom.redacting.writing import write_source
from faceloom.store.privacy import keep_private
from faceloom.units import MIB, format_bytes

_TOLD_EVERY_S = 0.2
_LAST_WORDS_BYTES = 4 * MIB


def main() -> None:
    """Answers until there is nothing more to do, or nobody is left to hear it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the command decides
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever native code prints must not get between answers
    told: Redaction = pickle.load(sys.stdin.buffer)
    if not told.share:
        keep_private()
    while True:
        try:
            asked: RedactSource = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        answer = _answer(told, asked, answers)
        _say(answers, answer)


def _answer(told: Redaction, asked: RedactSource, answers: BinaryIO) -> Redacted | NotRedacted:
    ceiling = ProcessCeiling(told.process_bytes)
    last = time.monotonic()

    def on_frames(frames: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _TOLD_EVERY_S:
            last = now
            _say(answers, Moving(frames=frames))

    left = told.process_bytes - held_bytes() if told.process_bytes else None
    try:
        return write_source(told, asked, left_bytes=left, on_frames=on_frames)
    except FaceloomError as error:
        return NotRedacted(reason=str(error), is_memory=isinstance(error, BudgetError))
    except Exception as error:  # one source must not end the others
        ceiling.relax(_LAST_WORDS_BYTES)
        if is_out_of_memory(error):
            reason = f"there is too little memory to write it in {format_bytes(told.process_bytes)}; raise --memory"
            return NotRedacted(reason=reason, is_memory=True)
        return NotRedacted(reason=f"{type(error).__name__}: {error}")


def _say(answers: BinaryIO, answer: Moving | Redacted | NotRedacted) -> None:
    pickle.dump((peak_bytes(), answer), answers)
    answers.flush()
