"""Constraints that hold an installation to the lowest allowed version of each dependency, for this Python.

python tools/lowest_versions.py EXTRA... > constraints.txt

Where the lowest version has no wheel for this Python, the first one that has is taken, as pip does not build any here.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
_REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)>=([0-9.]+)$")


def lowest(extras: Sequence[str]) -> Iterator[str]:
    """A line for each dependency, and each of the extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    for requirement in [*project["dependencies"], *(one for extra in extras for one in optional[extra])]:
        found = _REQUIREMENT.match(requirement)
        assert found, f"{requirement!r} states no lowest version"
        name, least = found.groups()
        yield f"{name}=={first(versions(name), least)}"


def first(there: Sequence[str], least: str) -> str:
    """The lowest version that is allowed."""
    return min((one for one in there if numbers(one) >= numbers(least)), key=numbers)


def versions(name: str) -> list[str]:
    """The releases of a package that have a wheel for this Python, as pip sees them."""
    command = [sys.executable, "-m", "pip", "index", "versions", name, "--only-binary", ":all:"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    line = re.search(r"^Available versions: (.*)$", told, re.MULTILINE)
    assert line, f"pip tells of no versions of {name}"
    return line[1].split(", ")


def numbers(version: str) -> tuple[int, ...]:
    """A version as what it is compared by."""
    return tuple(map(int, re.findall(r"\d+", version)))


if __name__ == "__main__":
    print("\n".join(lowest(sys.argv[1:])))
