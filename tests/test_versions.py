"""The ranges of dependencies: what scripts/test-versions is told of their ends."""

import runpy
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tool() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools/lowest_versions.py"))


@pytest.mark.parametrize(
    ("there", "least", "expected"),
    [
        (["19.0.2", "18.1.0", "18.0.0", "9.2.0"], "18.1", "18.1.0"),
        (["2.1.1", "2.1.0"], "2.0", "2.1.0"),  # no wheel of the lowest for this Python
        (["4.11.0.86", "4.10.0.84"], "4.11", "4.11.0.86"),
        (["10.0", "9.10", "9.9"], "9.10", "9.10"),
    ],
)
def test_the_lowest_version_is_the_first_that_is_allowed(
    tool: dict[str, Any], there: list[str], least: str, expected: str
) -> None:
    assert tool["first"](there, least) == expected


def test_every_dependency_states_its_lowest_version(tool: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    lowest = tool["lowest"]
    monkeypatch.setitem(lowest.__globals__, "versions", lambda _: ["999"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert len(list(lowest(["jxl", "parquet"]))) == len(project["dependencies"]) + 2


def test_what_is_no_python_is_refused() -> None:
    done = subprocess.run([ROOT / "scripts/test-versions", "/bin/false"], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "is no Python of version 3.11 or later" in done.stderr
