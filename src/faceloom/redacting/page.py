"""The report of a redaction: one page in one file, which needs nothing beside it, and shows what was written alone."""

import base64
import html
from collections.abc import Iterator
from importlib import resources

from faceloom.redacting.summary import RedactedItem, RedactSummary
from faceloom.store.privacy import opener
from faceloom.units import format_seconds
from faceloom.version import VERSION

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_MOST_ITEMS = 500
_MOST_FOUND = 50


def write_page(summary: RedactSummary, *, share: bool) -> None:
    """Writes the page, in place of an earlier one."""
    part = summary.report.with_name(f".{summary.report.name}.part")
    part.unlink(missing_ok=True)
    # Path.open has no opener.
    with open(part, "w", encoding="utf-8", opener=opener(share=share)) as file:
        file.writelines(_page(summary))
    part.replace(summary.report)


def _page(summary: RedactSummary) -> Iterator[str]:
    style = resources.files("faceloom.redacting").joinpath("page.css").read_text(encoding="utf-8")
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>Redaction</title><style>{style}</style></head><body><h1>Redaction</h1>\n"
    yield from _counts(summary)
    yield from _verdict(summary)
    items = sorted(summary.items, key=lambda item: (-len(item.found), -len(item.doubtful), item.name))
    for item in items[:_MOST_ITEMS]:
        yield from _of_item(item)
    if len(items) > _MOST_ITEMS:
        yield f"<p>and {len(items) - _MOST_ITEMS:,} more, of which nothing is doubtful that these are not.</p>"
    yield f"<footer>faceloom {html.escape(VERSION)}</footer></body></html>\n"


def _counts(summary: RedactSummary) -> Iterator[str]:
    told = {
        "files": len(summary.items),
        "failed": len(summary.failures),
        "frames": summary.frames,
        "faces covered": summary.faces,
        "left to be seen": sum(item.redacted.kept for item in summary.items),
        "still found": summary.found,
    }
    cells = "".join(f"<div><dd>{number:,}</dd><dt>{html.escape(name)}</dt></div>" for name, number in told.items())
    yield f'<dl class="counts">{cells}</dl>\n'


def _verdict(summary: RedactSummary) -> Iterator[str]:
    if not summary.detectors:
        yield '<p class="bad">Nobody has looked at what was written.</p>'
    elif summary.found:
        yield '<p class="bad">Faces are still found; the files that show them were left in the folder unproven.</p>'
    else:
        yield f'<p class="good">{html.escape(" and ".join(summary.detectors))} find no face in what was written.</p>'
    yield f"<p>{format_seconds(summary.seconds)}: "
    yield ", ".join(f"{html.escape(name)} {format_seconds(value)}" for name, value in summary.seconds_of.items())
    yield "</p>\n"
    if summary.failures:
        yield "<h2>Not written</h2><ul>"
        yield from (f"<li>{html.escape(text)}</li>" for text in summary.failures)
        yield "</ul>\n"


def _of_item(item: RedactedItem) -> Iterator[str]:
    told = item.redacted
    facts = [f"{told.frames:,} frame{'s' * (told.frames != 1)}", f"{told.faces:,} faces covered", told.codec]
    if len(item.rounds) > 1:
        facts.append(f"found after each round: {', '.join(map(str, item.rounds))}")
    facts += [f"{count:,} frames {doubt}" for doubt, count in told.doubts.items()]
    yield f"<h2>{html.escape(item.name)}</h2><p>{html.escape('; '.join(facts))}</p>"
    if told.notes:
        yield f"<p>{html.escape('; '.join(told.notes))}</p>"
    if item.found:
        yield '<table class="found"><tr><th>frame</th><th>seconds</th><th>score</th><th>by</th><th>box</th></tr>'
        for one in item.found[:_MOST_FOUND]:
            box = ", ".join(f"{value:.0f}" for value in one.box)
            at = "" if one.time_s is None else f"{one.time_s:.3f}"
            cells = (one.frame, at, f"{one.score:.2f}", one.detector, box)
            yield f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in cells)}</tr>"
        yield "</table>\n"
    yield from _doubtful(item)


def _doubtful(item: RedactedItem) -> Iterator[str]:
    if not item.doubtful:
        return
    yield '<ul class="doubtful">'
    for one in item.doubtful:
        frames = f"{one.first}" if one.first == one.last else f"{one.first} to {one.last}"
        at = "" if one.time_s is None else f", {one.time_s:.2f} s"
        label = html.escape(f"{one.doubt}: {frames}{at}")
        picture = '<span class="none"></span>'
        if one.thumbnail is not None:
            content = base64.b64encode(one.thumbnail).decode()
            picture = f'<img alt="{label}" src="data:image/jpeg;base64,{content}">'
        yield f"<li>{picture}<small>{label}</small></li>"
    yield "</ul>\n"
