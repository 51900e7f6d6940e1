"""Files and folders that options name."""

from collections.abc import Iterable
from pathlib import Path

from faceloom.errors import RequestError
from faceloom.job import FacesFile
from faceloom.media.listing import STDIN, FileList, Inputs
from faceloom.media.numbered import is_there, rate_of
from faceloom.media.remote import is_remote
from faceloom.media.shards import Shard
from faceloom.options.calls import ExtractOptions, PlanOptions
from faceloom.options.inputs import InputOptions
from faceloom.options.stages import ImportOptions, PathLike
from faceloom.orders.flows import IMPORT
from faceloom.supervisor.faces_file import faces_file


def existing(inputs: PathLike | Iterable[PathLike]) -> list[Path]:
    """The inputs as paths.

    Raises:
        RequestError: one is not there, or none was named.
    """
    paths = [Path(item) for item in ([inputs] if isinstance(inputs, str | Path) else inputs)]
    missing = [str(path) for path in paths if not path.exists() and not is_there(path)]
    if missing:
        raise RequestError(
            f"there is no file or folder {missing[0]!r}" + (f", nor {missing[1:]}" if missing[1:] else "")
        )
    if not paths:
        raise RequestError("no inputs were named")
    return paths


def inputs_of(inputs: PathLike | Iterable[PathLike], options: ExtractOptions | PlanOptions) -> Inputs:
    """What a job is given.

    Raises:
        RequestError: a file or folder is not there, nothing was named, or there is no such shard.
    """
    listed = _list_of(options)
    given = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    remote = tuple(item for item in given if isinstance(item, str) and is_remote(item))
    roots = [Path(item) for item in given if item not in remote]
    if roots or not (listed or remote):
        existing(roots)
    if options["shard"] is not None and options["detect"] == IMPORT:
        message = "names in a file of faces can be told apart only among all sources: import without --shard"
        raise RequestError(message)
    try:
        shard = None if options["shard"] is None else Shard.parse(options["shard"])
    except ValueError as error:
        raise RequestError(str(error)) from error
    return Inputs(roots=tuple(roots), listed=listed, shard=shard, remote=remote, rate=rate_of(options["fps"]))


def _list_of(options: InputOptions) -> FileList | None:
    if options["from_list"] is None:
        if options["null"]:
            raise RequestError("--null (-0) is for a list of inputs; name one with --from-list")
        return None
    path = Path(options["from_list"])
    if str(path) != STDIN:
        existing(path)
    return FileList(path=path, is_null=options["null"])


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
