"""Timelines as files: for tables, programs, players, a look, and editors."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from fractions import Fraction
from html import escape

from faceloom.errors import RequestError
from faceloom.timelines.editors import as_edl, as_otio
from faceloom.timelines.seen import SeenPeople, SeenVideo, told
from faceloom.timelines.stretches import Stretch

_COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#edc948", "#b07aa1", "#9c755f")
_WIDTH, _LABEL, _ROW = 960, 180, 18


def clock_time(time: Fraction) -> str:
    """Hours, minutes, seconds and milliseconds, rounded to the nearest."""
    ms = round(time * 1000)
    sign = "-" if ms < 0 else ""
    seconds, ms = divmod(abs(ms), 1000)
    return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}"


def _csv(line: SeenPeople) -> str:
    text = io.StringIO()
    rows = [told(one) for one in line.stretches]
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["source"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _guarded(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _guarded(value: object) -> object:
    """A text with an apostrophe before it, if a spreadsheet would take it for a formula (OWASP, CSV Injection)."""
    return f"'{value}" if isinstance(value, str) and value[:1] in set("=+-@\t\r\n") else value


def _json(line: SeenPeople) -> str:
    return json.dumps(line.to_json(), indent=1) + "\n"


def _vtt(line: SeenPeople) -> str:
    """A cue for each stretch, with who is seen; of one video, as players take it.

    Source: https://www.w3.org/TR/webvtt1/.
    """
    video = _only_video(line, "WebVTT")
    cues = ["WEBVTT", f"NOTE {_one_line(video.name)}"]
    for number, one in enumerate(line.stretches, start=1):
        start, end = _times(one)
        if start >= 0 and round(start * 1000) < round(end * 1000):
            name = escape(_one_line(one.name), quote=False)
            cues.append(f"{number}\n{clock_time(start)} --> {clock_time(end)}\n<v {name}>{name}")
    return "\n\n".join(cues) + "\n"


def _only_video(line: SeenPeople, title: str) -> SeenVideo:
    names = {one.source for one in line.stretches}
    if len(names) != 1:
        raise RequestError(f"{title} is of one video, and somebody is seen in {len(names):,}; name one with --source")
    return line.video(names.pop())


def _one_line(text: str) -> str:
    return " ".join(text.replace("-->", "->").split())


def _times(one: Stretch) -> tuple[Fraction, Fraction]:
    if one.start is None or one.end is None:
        raise RequestError(f"the frames of {one.source} have no times; --to csv and json tell frames too")
    return one.start, one.end


def _svg(line: SeenPeople) -> str:
    """A row for each name in each video, with a bar for each stretch; by frames where there are no times."""
    rows: dict[tuple[str, str], list[Stretch]] = {}
    for one in line.stretches:
        rows.setdefault((one.source, one.name if one.track is None else "tracks"), []).append(one)
    parts: list[str] = []
    y, last = 4, ""
    for number, ((source, name), some) in enumerate(sorted(rows.items())):
        if source != last:
            parts.append(f'<text x="4" y="{y + 13}" class="source">{escape(source)}</text>')
            y, last = y + _ROW, source
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(f'<text x="12" y="{y + 13}">{escape(name)}</text>')
        parts += [_bar(one, line.video(source), y, colour) for one in some]
        y += _ROW
    style = "text{font:12px sans-serif;fill:#333}.source{font-weight:bold}svg{background:#fff}"
    size = f'width="{_WIDTH}" height="{y + 6}" viewBox="0 0 {_WIDTH} {y + 6}"'
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<style>{style}</style>\n{body}\n</svg>\n'


def _bar(one: Stretch, video: SeenVideo, y: int, colour: str) -> str:
    if one.start is None or one.end is None or video.start is None or video.end is None or video.end <= video.start:
        first, last = Fraction(one.first, max(1, video.frames)), Fraction(one.end_index, max(1, video.frames))
        title = f"frames {one.first} to {one.last}"
    else:
        whole = video.end - video.start
        first, last = (one.start - video.start) / whole, (one.end - video.start) / whole
        title = f"{clock_time(one.start)} to {clock_time(one.end)}"
    room = _WIDTH - _LABEL - 8
    x, width = float(_LABEL + first * room), max(1.0, float((last - first) * room))
    place = f'x="{x:.2f}" y="{y + 2}" width="{width:.2f}" height="{_ROW - 5}"'
    return f'<rect {place} fill="{colour}"><title>{escape(one.name)}, {title}</title></rect>'


WRITERS: Mapping[str, Callable[[SeenPeople], str]] = {
    "csv": _csv,
    "json": _json,
    "vtt": _vtt,
    "svg": _svg,
    "otio": as_otio,
    "edl": as_edl,
}
"""By the name of the format."""
