"""Changes the code at one place at a time, and says which changes no test notices: `tools/mutation.py PACKAGE...`.

mutmut makes the changes and runs the tests; this draws the sample, and says what came of it. It works on a copy below
build/mutation/ and takes minutes to hours, so it is no part of scripts/test. docs/testing.md has the figures.

    pip install --constraint constraints.txt --editable '.[test,oracle,parquet,mutation]'
    python tools/mutation.py geometry --sample 300
"""

import argparse
import json
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPIED = ("src", "tests", "docs", "examples", "README.md", "constraints.txt", "pyproject.toml")
UNNOTICED = {0, 33}
"""Exit codes that mutmut notes for a change that no test fails for, and one that no test covers."""
TIMED_OUT = {36, 24, -24, 152, 255}
"""Exit codes that mutmut notes for a change that makes the tests run on and on: they have noticed it."""


@dataclass(frozen=True)
class Package:
    """What is changed, and the tests that are to notice: quick ones, which cover it."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]


PACKAGES = {
    "solver": Package(
        ("solver/*",),
        # Thousands of budgets in small steps: too slow to be run a few hundred times.
        ("tests/solver", "--deselect=tests/solver/test_budgets.py"),
    ),
    "geometry": Package(("geometry/*",), ("tests/geometry",)),
    "selection": Package(("selection.py",), ("tests/test_selection.py",)),
    "schedule": Package(("pipeline/schedule.py",), ("tests/pipeline/test_schedule.py",)),
    # Runs in worker processes: the tests of the store that write their folders themselves cover it as well.
    "store": Package(("store/*",), ("tests/store", "-m", "not slow")),
}
SQL = re.compile(r"\b(BEGIN|BY|COMMIT|CREATE|DELETE|DROP|FROM|INSERT|JOIN|PRAGMA|ROLLBACK|SELECT|UPDATE|WHERE)\b")
CONFIGURATION = """
[tool.mutmut]
source_paths = ["src/"]
only_mutate = {sources}
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-profile=mutation"]
also_copy = ["docs/", "examples/", "README.md", "constraints.txt"]
track_dependencies = false
timeout_multiplier = 5.0
timeout_constant = 20.0
"""


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("packages", nargs="+", choices=PACKAGES, metavar="PACKAGE", help=", ".join(PACKAGES))
    parser.add_argument("--sample", type=int, default=300, help="how many changes of a package to try (default: 300)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (default: 1)")
    parser.add_argument("--only", default="", help="only changes whose names hold this text")
    asked = parser.parse_args(arguments)
    for name in asked.packages:
        folder = prepare(name)
        mutmut(folder, "run", "--max-children", "1", "none")  # makes the changes, tries none
        mutants = [mutant for mutant in sorted(results(folder)) if asked.only in mutant]
        drawn = sorted(random.Random(asked.seed).sample(mutants, min(asked.sample, len(mutants))))
        mutmut(folder, "run", "--max-children", "1", *drawn)
        report(folder, name, drawn, of=len(mutants))


def prepare(name: str) -> Path:
    """A copy of the checkout to work on, in which the files beside the checkout are found as well."""
    folder = ROOT / "build" / "mutation" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for item in COPIED:
        copy = shutil.copytree if (ROOT / item).is_dir() else shutil.copy
        copy(ROOT / item, folder / item)
    if (ROOT.parent / "shared").is_dir():
        (folder / "shared").symlink_to(ROOT.parent / "shared")
    package = PACKAGES[name]
    sources = json.dumps([f"src/faceloom/{source}" for source in package.sources])
    with (folder / "pyproject.toml").open("a") as file:
        file.write(CONFIGURATION.format(sources=sources, tests=json.dumps(package.tests)))
    return folder


def mutmut(folder: Path, *arguments: str) -> str:
    """What mutmut prints; that changes survive is no error."""
    done = subprocess.run([sys.executable, "-m", "mutmut", *arguments], cwd=folder, capture_output=True, text=True)
    return done.stdout + done.stderr


def results(folder: Path) -> dict[str, int | None]:
    """Of every change how its tests ended; None if they have not been run."""
    found: dict[str, int | None] = {}
    for path in folder.glob("mutants/src/**/*.meta"):
        found |= json.loads(path.read_text())["exit_code_by_key"]
    return found


def report(folder: Path, name: str, drawn: Sequence[str], *, of: int) -> None:
    """A line for each module, one for all, and each change that no test noticed."""
    codes = results(folder)
    ended = [mutant for mutant in drawn if codes[mutant] is not None]  # others if the run was broken off
    noticed = {mutant: codes[mutant] not in UNNOTICED for mutant in ended}
    left = {mutant: lines_of(folder, mutant) for mutant in ended if not noticed[mutant]}
    equal = {mutant for mutant, lines in left.items() if is_equal(lines)}
    tried = [mutant for mutant in ended if mutant not in equal]
    for module, number in sorted(Counter(map(module_of, tried)).items()):
        killed = sum(noticed[mutant] for mutant in tried if module_of(mutant) == module)
        print(f"{module:40} {killed:4} of {number:4}  {killed / number:6.1%}")
    late = sum(codes[mutant] in TIMED_OUT for mutant in ended)
    killed = sum(noticed.values())
    print(
        f"{name}: {killed} of {len(tried)} noticed ({killed / len(tried):.1%}), {late} by running on;"
        f" {len(ended)} of {len(drawn)} drawn of {of} were tried, {len(equal)} of them SQL in letters of another case"
    )
    for mutant, lines in left.items():
        if mutant not in equal:
            print("\n".join([f"\n{mutant}", *lines]))


def lines_of(folder: Path, mutant: str) -> list[str]:
    """A change as its lines before and after."""
    shown = mutmut(folder, "show", mutant).splitlines()
    return [line for line in shown if re.match(r"[-+](?![-+])", line)]


def is_equal(lines: Sequence[str]) -> bool:
    """Whether only the case of SQL outside quotes has changed, which makes no difference."""
    before, *after = (line[1:] for line in lines) if lines else ("",)
    same = [before.lower()] == [line.lower() for line in after]
    return same and SQL.search(before) is not None and "'" not in before


def module_of(mutant: str) -> str:
    return mutant.split(".x", 1)[0]


if __name__ == "__main__":
    main(sys.argv[1:])
