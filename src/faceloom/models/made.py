"""What was made of pinned files: each noted with its sha256, in a file of its own, and used only while it is the same.

Several processes may make the same network at once. A note is written after the file that it names, and either comes
into its place as a whole, so that whoever reads a note finds all that it says.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path


def find_made(folder: Path, stem: str) -> Path | None:
    """The file that was made under this name, if there is one and all that was made is still what it was; what has been
    changed goes.
    """
    try:
        told = json.loads((folder / f"{stem}.json").read_text(encoding="utf-8"))
        made = {str(name): str(digest) for name, digest in told.items()}
    except (OSError, AttributeError, ValueError, RecursionError):
        return None
    if not made or any(Path(name).name != name or not (folder / name).is_file() for name in made):
        return None
    changed = [folder / name for name, digest in made.items() if sha256_of(folder / name) != digest]
    for path in changed:
        path.unlink(missing_ok=True)
    return None if changed else folder / next(iter(made))


def note_made(paths: Sequence[Path], digests: Sequence[str], into: Path) -> Path:
    """Writes down what `find_made` is to find, first what it is to give; the file that it was written into."""
    names = [path.name for path in paths]
    into.write_text(json.dumps(dict(zip(names, digests, strict=True))), encoding="utf-8")
    return into


def banded(path: Path) -> Path:
    """Where the same network in bands is, if there is one: what the host's engine runs."""
    return path.with_suffix(".banded.onnx")


def sha256_of(path: Path) -> str:
    """Hexadecimal digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
