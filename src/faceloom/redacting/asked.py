"""What a redaction is asked for: how faces are covered and whose, where it is written, and what that is held to."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from faceloom.choices import Fill, Over
from faceloom.errors import RequestError
from faceloom.options.calls import RedactOptions
from faceloom.redacting.ledger import LEDGER
from faceloom.redacting.styles import Style, Whose
from faceloom.results.results import open as open_results
from faceloom.store.folder import LOCK
from faceloom.store.privacy import make_folder, make_private


def style_of(options: RedactOptions) -> Style:
    """How faces are covered.

    Raises:
        RequestError: there is no such picture.
    """
    told = options["with_"]
    is_word = told in {fill.value for fill in Fill} - {Fill.PICTURE.value}
    if not is_word and not Path(told).is_file():
        raise RequestError(f"faces are covered with blur, pixelate, solid, or a picture; there is no file {told!r}")
    return Style(
        fill=Fill(told) if is_word else Fill.PICTURE,
        over=Over(options["over"]),
        margin=options["margin"],
        feather=options["feather"],
        picture=None if is_word else Path(told).absolute(),
        fill_s=options["fill"],
        hold_s=options["hold"],
        quality=options["quality"],
    )


def whose_of(options: RedactOptions, folder: Path | None) -> Whose:
    """Whose faces are covered, of those in a result folder.

    Raises:
        RequestError: both kinds of persons are named, or one whom nobody knows.
        StoreError: the folder holds no store that can be read.
    """
    only, but = tuple(options["only"]), tuple(options["except_"])
    if only and but:
        raise RequestError("--only covers the faces of some persons and --except all others; name one of the two")
    if (only or but) and folder is None:
        raise RequestError(
            "persons have names in a result folder: extract with --identify, group, and redact that folder"
        )
    if folder is not None:
        with open_results(folder, raw=options["raw"]) as results:
            results.faces(person=[*only, *but] or None)  # refuses names that nobody has
    return Whose(only=only, but=but)


def claimed(out: Path, inputs: Sequence[Path], *, share: bool) -> Path:
    """The folder that is written.

    Raises:
        RequestError: it holds something else, or is one of the inputs.
    """
    for item in inputs:
        if item.is_dir() and item.resolve() == out.resolve():
            raise RequestError(f"{out} holds the inputs; name another folder for what is written")
    make_folder(out, share=share)
    others = sorted(entry.name for entry in out.iterdir() if entry.name != LOCK)
    if others and LEDGER not in others:
        raise RequestError(f"{out} is not empty and no redaction made it (it has {others[0]!r}); name another --out")
    if not others and not share:
        make_private(out)
    return out


def settings(
    given: Sequence[Path] | str,
    folder: Path | None,
    style: Style,
    whose: Whose,
    detectors: Mapping[str, float],
    options: RedactOptions,
) -> dict[str, Any]:
    """What the folder is held to: what another result would come of."""
    return {
        "inputs": [given] if isinstance(given, str) else sorted(str(item.resolve()) for item in given),
        "with": str(style.picture or style.fill),
        "over": style.over,
        "margin": style.margin,
        "feather": style.feather,
        "fill": style.fill_s,
        "hold": style.hold_s,
        "quality": style.quality,
        "only": list(whose.only),
        "except": list(whose.but),
        "proof": dict(detectors),
        "raw": options["raw"],
        **({} if options["fps"] is None else {"fps": options["fps"]}),
    }
