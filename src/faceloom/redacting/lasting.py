"""Live sources among what is redacted: which input is one, what it may be asked with, how its files are called."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from faceloom.choices import Over
from faceloom.errors import RequestError
from faceloom.media.live import STDIN, LiveSettings, LiveSource, is_live, size_of
from faceloom.media.numbered import is_pattern
from faceloom.options.calls import RedactOptions, StreamOptions
from faceloom.options.declared import declared
from faceloom.options.machine import DeviceOptions, PrecisionOptions, ThreadOptions
from faceloom.options.stages import DetectorOptions, PathLike, PluginOptions
from faceloom.redacting.messages import Redacted

_HELD = 32
"""Frames that wait for the detector, which looks at several together; what comes beyond them is dropped."""
_OF_DETECTOR = (DetectorOptions, PluginOptions, ThreadOptions, DeviceOptions, PrecisionOptions)


def live_of(items: Sequence[PathLike], options: RedactOptions) -> LiveSource | None:
    """The live source that is to be redacted, if it is one; numbered pictures are a file like others.

    Raises:
        RequestError: it is among other inputs, or asked for with what there is for files alone.
    """
    live = [item for item in items if isinstance(item, str) and is_live(item) and not is_pattern(Path(item))]
    if not live:
        return None
    if len(items) > 1:
        raise RequestError(f"{live[0]} is live and comes once: redact it alone")
    if options["memory"] is not None or options["ram"] is not None:
        message = f"{live[0]} is live, and nobody can plan for frames that are not known; leave out --memory and --ram"
        raise RequestError(message)
    if options["over"] == Over.MASK:
        raise RequestError("faces of live sources are covered by an ellipse or a box: masks take too long to be made")
    settings = LiveSettings(
        size=size_of(options["frame_size"]), rate=options["fps"], reconnect_s=options["reconnect"], held=_HELD
    )
    return LiveSource(live[0], settings)


def detector_told(options: Mapping[str, Any]) -> dict[str, Any]:
    """What `stream` is told, so that it finds faces and nothing more."""
    names = {name for table in _OF_DETECTOR for name in declared(table)} & declared(StreamOptions).keys()
    return {**{name: options[name] for name in names}, "align": None, "mask": ()}


def live_names(source: LiveSource) -> Iterator[str]:
    """Names for files of a source, each of which is for one call."""
    bare = source.name.partition("?")[0]  # what follows may be a key
    stem = "stdin" if bare == STDIN else re.sub(r"[^A-Za-z0-9._-]+", "-", bare).strip("-.")[:100] or "live"
    for number in count(1):
        yield f"{stem}.mp4" if number == 1 else f"{stem}-{number}.mp4"


def nothing_yet(name: str) -> Redacted:
    """What there is to be told of a file while it is being written, and after a kill."""
    notes = ("the recording was broken off before its end",)
    return Redacted(base=name, key=name, target=name, frames=0, faces=0, kept=0, covered=0, notes=notes)


def covered_again(recorded: Redacted, written: Redacted) -> Redacted:
    """What is told of a recording in which more was covered afterwards."""
    notes = (*recorded.notes, "faces that were still found were covered afterwards, and the film encoded once more")
    return replace(recorded, covered=recorded.covered + written.covered, key=written.key, notes=notes)
