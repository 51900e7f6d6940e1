"""Bytes as people write and read them, inside the program a size is an int of bytes; and how large a picture may be."""

import re

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
MAX_PIXELS = 1 << 28
"""A picture that declares more is refused before it is decoded (268 megapixels, 768 MiB)."""

_FACTORS = {
    "": 1, "b": 1,
    "k": KIB, "kib": KIB, "kb": 1000,
    "m": MIB, "mib": MIB, "mb": 1000**2,
    "g": GIB, "gib": GIB, "gb": 1000**3,
    "t": 1024 * GIB, "tib": 1024 * GIB, "tb": 1000**4,
}  # fmt: skip
_SIZE = re.compile(r"\s*(\d+(?:,\d{3})*(?:\.\d+)?)\s*([A-Za-z]*)\s*")


def parse_bytes(text: str) -> int:
    """Bytes in a size such as `800MiB`, `2GiB`, `1.5g` or `1048576`; `MB` is a million bytes.

    Raises:
        ValueError: the text is not a size.
    """
    match = _SIZE.fullmatch(text)
    factor = _FACTORS.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise ValueError(f"{text!r} is not a size; write it like 800MiB or 2GiB")
    return round(float(match[1].replace(",", "")) * factor)


def format_bytes(size: int) -> str:
    """A size for people: `412 MiB`, `1.5 GiB`, `900 B`."""
    if abs(size) < KIB:
        return f"{size} B"
    if abs(size) < MIB:
        return f"{size / KIB:.0f} KiB"
    if abs(size) < 10 * GIB:
        return f"{size / MIB:,.0f} MiB"
    return f"{size / GIB:,.1f} GiB"


def format_seconds(seconds: float) -> str:
    """A duration for people: `0:47`, `12:03`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def format_time(seconds: float) -> str:
    """A place in a film, to the millisecond: `0:00:00.480`, `1:02:03.000`, `-0:00:00.040`."""
    minutes, rest = divmod(round(abs(seconds) * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if seconds < 0 and rest + minutes + hours else ""
    return f"{sign}{hours}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"
