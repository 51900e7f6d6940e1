"""Timelines for editors, through OpenTimelineIO: a track a person, with clips where they are seen and gaps between.

Source: https://opentimelineio.readthedocs.io/; EDL (CMX 3600) by its adapter `otio-cmx3600-adapter`.
"""

import importlib
from collections.abc import Sequence
from typing import Any

from faceloom.errors import RequestError
from faceloom.timelines.seen import SeenPeople, SeenVideo
from faceloom.timelines.stretches import STANDARD_RATES, Stretch

_EXTRA = "pip install 'faceloom[timeline]'"
_EDL_RATES = frozenset(STANDARD_RATES)


def as_otio(line: SeenPeople) -> str:
    """Every video's timeline; several are a collection of them."""
    otio = _otio()
    names = list(dict.fromkeys(one.source for one in line.stretches))
    lines = [_timeline(otio, line, line.video(name)) for name in names]
    whole = lines[0] if len(lines) == 1 else otio.schema.SerializableCollection("faceloom", lines)
    return str(otio.adapters.write_to_string(whole, "otio_json")) + "\n"


def as_edl(line: SeenPeople) -> str:
    """The stretches of one in one video, as events in order.

    Raises:
        RequestError: they are of more than one, or the video has no rate that an EDL can have.
    """
    otio = _otio()
    sources, names = ({getattr(one, key) for one in line.stretches} for key in ("source", "name"))
    if len(sources) != 1 or len(names) != 1:
        raise RequestError(
            f"an EDL has one track of one video, and this is of {len(names):,} in {len(sources):,}; name one with"
            " --person and one with --source, or take --to otio"
        )
    video = line.video(sources.pop())
    if video.rate not in _EDL_RATES:
        rate = "no constant rate" if video.rate is None else f"{float(video.rate):g} frames a second"
        raise RequestError(f"{video.name} has {rate}, which timecodes of an EDL cannot tell; take --to otio")
    if "cmx_3600" not in otio.adapters.available_adapter_names():
        raise RequestError(f"what writes EDL is not installed: {_EXTRA}")
    return str(otio.adapters.write_to_string(_timeline(otio, line, video), "cmx_3600"))


def _otio() -> Any:
    try:
        return importlib.import_module("opentimelineio")
    except ImportError as error:
        raise RequestError(f"OpenTimelineIO is not installed: {_EXTRA}") from error


def _timeline(otio: Any, line: SeenPeople, video: SeenVideo) -> Any:
    made = otio.schema.Timeline(video.name)
    some: dict[str, list[Stretch]] = {}
    for one in line.stretches:
        if one.source == video.name:
            some.setdefault(one.name, []).append(one)
    for name, stretches in some.items():
        made.tracks.append(_track(otio, name, stretches, video))
    return made


def _track(otio: Any, name: str, stretches: Sequence[Stretch], video: SeenVideo) -> Any:
    """Clips where somebody is seen, each at the place that it has in the video."""
    track, at = otio.schema.Track(name, kind=otio.schema.TrackKind.Video), 0
    rate = _rate(video)
    for one in stretches:
        first, end = _units(one, video)
        if first > at:
            track.append(otio.schema.Gap(duration=otio.opentime.RationalTime(first - at, rate)))
        media = otio.schema.ExternalReference(target_url=video.name)
        clip = otio.schema.Clip(name, media, _range(otio, first, end - first, rate))
        clip.metadata["faceloom"] = {
            "start": str(one.start),
            "end": str(one.end),
            "frames": one.frames,
            "best": one.best.chip or "",
        }
        track.append(clip)
        at = end
    return track


def _range(otio: Any, start: int, duration: int, rate: float) -> Any:
    time = otio.opentime.RationalTime
    return otio.opentime.TimeRange(time(start, rate), time(duration, rate))


def _rate(video: SeenVideo) -> float:
    """Units a second: frames where their rate is constant, else the ticks of the video's own times."""
    if video.rate is not None:
        return float(video.rate)
    if video.tick is None:
        raise RequestError(f"the frames of {video.name} have no times; --to csv and json tell frames too")
    return float(1 / video.tick)


def _units(one: Stretch, video: SeenVideo) -> tuple[int, int]:
    """Where a stretch begins, and where the next frame does, in whole units."""
    if video.rate is not None:
        return one.first, one.end_index
    assert one.start is not None
    assert one.end is not None
    assert video.tick is not None
    return int(one.start / video.tick), int(one.end / video.tick)
