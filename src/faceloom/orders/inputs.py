"""Files and folders that options name."""

from collections.abc import Iterable
from pathlib import Path

from faceloom.errors import RequestError
from faceloom.job import FacesFile
from faceloom.options.stages import ImportOptions, PathLike
from faceloom.supervisor.faces_file import faces_file


def existing(inputs: PathLike | Iterable[PathLike]) -> list[Path]:
    """The inputs as paths.

    Raises:
        RequestError: one is not there, or none was named.
    """
    paths = [Path(item) for item in ([inputs] if isinstance(inputs, str | Path) else inputs)]
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise RequestError(
            f"there is no file or folder {missing[0]!r}" + (f", nor {missing[1:]}" if missing[1:] else "")
        )
    if not paths:
        raise RequestError("no inputs were named")
    return paths


def references(pictures: PathLike | Iterable[PathLike]) -> list[Path]:
    """Pictures of people; there may be none.

    Raises:
        RequestError: one is not there.
    """
    paths = [pictures] if isinstance(pictures, str | Path) else list(pictures)
    return existing(paths) if paths else []


def faces_file_of(options: ImportOptions) -> FacesFile:
    """The file whose faces take a detector's place.

    Raises:
        RequestError: there is no such file, or no such format.
    """
    assert options["from_"] is not None  # the flow asked for it
    (path,) = existing(options["from_"])
    return faces_file(path, format=options["from_format"])
