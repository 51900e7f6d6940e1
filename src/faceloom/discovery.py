"""What is found by its place: the modules of a folder of ours, the entry points of installed packages.

Nothing that is named here is imported. A module that lies directly in a folder may be one of its things; what such
modules share is a package inside the folder, or has nothing to offer.
"""

import importlib.abc
import importlib.util
import pkgutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceloom.errors import RequestError
from faceloom.suggestions import or_else

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def modules_of(package: str) -> list[str]:
    """Names of the modules directly in a package of ours, sorted."""
    spec = importlib.util.find_spec(package)
    assert spec
    assert spec.submodule_search_locations
    found = pkgutil.iter_modules(spec.submodule_search_locations)
    return sorted(module.name for module in found if not module.ispkg and not module.name.startswith("_"))


@cache
def binds(module: str, name: str) -> bool:
    """Whether a module gives something this name at its top: told by its code, which is not run."""
    spec = importlib.util.find_spec(module)
    assert spec
    assert isinstance(spec.loader, importlib.abc.InspectLoader)
    code = spec.loader.get_code(module)
    return code is not None and name in code.co_names


def offered(group: str) -> dict[str, "EntryPoint"]:
    """What installed packages offer in a group of entry points, by name; of several of one name the first."""
    return _offered(group, tuple(map(_state_of, sys.path)))


@lru_cache(maxsize=4)
def _offered(group: str, _places: tuple[tuple[str, int], ...]) -> dict[str, "EntryPoint"]:
    """The same, looked up once for each state of the places that packages are in: every package's files are read.

    Where none of them names the group, which is nearly everywhere, that is seen without `importlib.metadata`: it brings
    packages for mail and archives, 20 ms of the 600 that one picture takes.
    """
    if not any(_may_offer(group, Path(place)) for place in sys.path):
        return {}
    from importlib.metadata import entry_points

    return {point.name: point for point in reversed(entry_points(group=group))}


def _may_offer(group: str, place: Path) -> bool:
    """Whether a place of packages has one that names a group, as far as files can tell: an archive may have any."""
    if place.is_file():
        return True
    with suppress(OSError):
        for info in place.iterdir():
            if info.suffix in {".dist-info", ".egg-info"}:
                with suppress(OSError):
                    if group.encode() in (info / "entry_points.txt").read_bytes():
                        return True
    return False


def _state_of(place: str) -> tuple[str, int]:
    """A place of packages, and when something was put there or taken away."""
    with suppress(OSError):
        return place, Path(place).stat().st_mtime_ns
    return place, 0


def load(point: "EntryPoint") -> Any:
    """What an entry point names.

    Raises:
        RequestError: the package that offers it cannot be imported, or has nothing of that name.
    """
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        package = point.dist.name if point.dist else "a package"
        raise RequestError(
            f"{point.name} of {package} cannot be loaded ({point.value}): {error}; mend or remove {package}"
        ) from error


def no_such(what: str, name: str, known: Sequence[str], *, see: str = "") -> RequestError:
    """The error for a name that nothing has: it names the nearest, and what there is."""
    return RequestError(f"there is no {what} {name!r}; {or_else(name, known)}{see}")
