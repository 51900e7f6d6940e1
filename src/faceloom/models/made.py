"""What was made of pinned files: each noted with its sha256, in a file of its own, and used only while it is the same.

Several processes may make the same network at once. A note is written after the file that it names, and either comes
into its place as a whole, so that whoever reads a note finds all that it says.
"""

import hashlib
import json
from pathlib import Path


def find_made(folder: Path, stem: str) -> Path | None:
    """The file that was made under this name, if there is one and it is still what it was; a changed one goes."""
    try:
        told = json.loads((folder / f"{stem}.json").read_text(encoding="utf-8"))
        name, digest = str(told["file"]), str(told["sha256"])
    except (OSError, LookupError, TypeError, ValueError, RecursionError):
        return None
    path = folder / name
    if Path(name).name != name or not path.is_file():
        return None
    if sha256_of(path) == digest:
        return path
    path.unlink(missing_ok=True)
    return None


def note_made(path: Path, digest: str, into: Path) -> Path:
    """Writes down what `find_made` is to find; the file that it was written into."""
    into.write_text(json.dumps({"file": path.name, "sha256": digest}), encoding="utf-8")
    return into


def sha256_of(path: Path) -> str:
    """Hexadecimal digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
