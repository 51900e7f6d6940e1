"""The image: each instruction of the Dockerfile is held to what tests can run, and its script is run without Docker."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PREFIX = "/opt/faceloom"
LONGEST_S = 900


def instructions() -> list[tuple[str, str]]:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    words = (line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))
    return [(name, rest) for name, rest in words]


def stages() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The instructions that build, and those of which the image is made."""
    found = instructions()
    first, second = (place for place, (name, _) in enumerate(found) if name == "FROM")
    return found[first:second], found[second:]


def not_ignored() -> Iterator[Path]:
    """The files that are sent to Docker: the last rule that matches a path, or a folder above it, decides."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    for path in sorted(ROOT.rglob("*")):
        name = path.relative_to(ROOT).as_posix()
        above = ["/".join(name.split("/")[:count]) for count in range(1, name.count("/") + 2)]
        ignored = False
        for rule in rules:
            pattern = rule.removeprefix("!").removeprefix("**/")
            tried = name.split("/") if "**/" in rule else above
            if any(fnmatch(one, pattern) for one in tried):
                ignored = not rule.startswith("!")
        if not ignored and path.is_file():
            yield path


def test_building_copies_the_source_and_runs_the_script() -> None:
    build, _ = stages()
    assert build[1:] == [("WORKDIR", "/source"), ("COPY", ". ."), ("RUN", f"scripts/image {PREFIX}")]
    assert os.access(ROOT / "scripts/image", os.X_OK)


def test_the_image_has_what_the_script_made_where_it_made_it() -> None:
    _, image = stages()
    # An environment names its own place, and the Python that it was made with.
    assert [rest for name, rest in image if name == "COPY"] == [f"--from=build {PREFIX} {PREFIX}"]
    (variables,) = (dict(one.split("=") for one in rest.split()) for name, rest in image if name == "ENV")
    assert variables == {"PATH": f"{PREFIX}/bin:$PATH", "FACELOOM_CACHE": f"{PREFIX}/cache"}
    bases = {re.sub(r" AS .*", "", rest) for name, rest in instructions() if name == "FROM"}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.\d+-slim", bases.pop())


def test_the_image_is_run_by_a_user_without_privileges() -> None:
    _, image = stages()
    names = [name for name, _ in image]
    ((made,),) = [re.findall(r"useradd .* (\w+)$", rest) for name, rest in image if name == "RUN"]
    assert [rest for name, rest in image if name == "USER"] == [made]
    assert names.index("USER") > names.index("RUN")
    (command,) = (rest for name, rest in image if name == "ENTRYPOINT")
    assert json.loads(command) == ["faceloom"]


def test_nothing_is_sent_but_what_is_installed() -> None:
    sent = {path.relative_to(ROOT).parts[0] for path in not_ignored()}
    assert sent == {"pyproject.toml", "constraints.txt", "README.md", "LICENSE", "NOTICE", "scripts", "src"}


@pytest.mark.skipif("FACELOOM_LONG" not in os.environ, reason="installs anew: set FACELOOM_LONG=1")
def test_the_script_installs_from_what_is_sent_and_brings_the_weights(samples: Path, tmp_path: Path) -> None:
    source, prefix = tmp_path / "source", tmp_path / "prefix"
    for path in not_ignored():
        target = source / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("FACELOOM_", "PYTHONPATH"))}
    python = sys.executable if sys.prefix == sys.base_prefix else str(Path(sys.base_prefix) / "bin/python3")
    built = subprocess.run(
        [source / "scripts/image", prefix],
        env={**env, "PYTHON": python},
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_S,
    )
    assert built.returncode == 0, built.stderr[-2000:]
    shutil.rmtree(source)  # the image does not have it
    for path in (prefix / "cache").rglob("*"):
        assert path.stat().st_mode & stat.S_IROTH, f"{path} is for its owner alone"
    ran = subprocess.run(
        [prefix / "bin/faceloom", "extract", samples / "portrait.png", "--out", tmp_path / "out", "--json"],
        env={**env, "FACELOOM_CACHE": str(prefix / "cache"), "PIP_NO_INDEX": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_S,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["faces"] == 1
