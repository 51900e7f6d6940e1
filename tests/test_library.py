import ast
import enum
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType

import pytest

import faceloom

PACKAGES = Path(faceloom.__file__).parents[1]
"""Where the package lies that is tested, wherever an editable install points to."""
CODE = {name: getattr(faceloom, name) for name in faceloom.__all__ if name != "__version__"}
FRAGMENT = re.compile(r"(Of|For|With|By|To|In|At|As|That|Which|And|Or|Whether|Where|When|Its|Their)\b", re.ASCII)
SCRIPT = '''
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import faceloom


def sheet(results: faceloom.Results, person: str | None) -> NDArray[np.uint8]:
    """The chips of somebody's best faces beside each other."""
    faces = results.faces(person=person, min_score=0.8, min_size=80, max_yaw=30)
    chips = [results.chip(face) for face in faces if face.chip is not None]
    return np.hstack(chips) if chips else np.zeros((64, 0, 3), np.uint8)


def left_eyes(video: Path) -> Iterator[tuple[float, float]]:
    for frame in faceloom.stream(video, detect="yunet", mask=[], every=2):
        for face in frame.faces:
            if face.landmarks is not None and frame.time is not None:
                yield float(frame.time), float(face.landmarks[36:42, 0].mean())


def main(inputs: list[Path], out: Path) -> None:
    summary = faceloom.extract(inputs, out, size=256, memory="800MiB", identify="dlib")
    print(summary.faces, summary.frames, *summary.failures)
    names: list[str] = [person.name for person in faceloom.group(out)]
    with faceloom.open(out) as results:
        sheets: dict[str, NDArray[np.uint8]] = {name: sheet(results, name) for name in names}
        reasons: list[str | None] = [failure.reason for failure in results.failures]
        rows: int = len(results)
        mask: NDArray[np.uint8] = results.mask(next(iter(results)), "extended")
    text: str = faceloom.export(out, to="csv")
    path: Path = faceloom.export(out, "parquet", out=out / "faces.parquet")
    wrong = [finding.fix for finding in faceloom.doctor() if finding.verdict is faceloom.Verdict.WRONG]
    for frame in faceloom.stream(np.zeros((2, 64, 64, 3), np.uint8)):
        chips: list[NDArray[np.uint8]] = [faceloom.chip(face, size=128) for face in frame.faces]
    seconds = {size: one.plan.seconds for size in ("1GiB",)
               for one in faceloom.plan(inputs, what_if=[size]).plans if not isinstance(one, faceloom.BudgetError)}
    print(sheets, reasons, rows, mask, text, path, wrong, seconds, faceloom.profile()["detect/yunet"].load_s)
'''


def described() -> Iterator[tuple[str, object]]:
    """Every public function, class, method and property."""
    for name, thing in CODE.items():
        yield name, thing
        if inspect.isclass(thing) and not issubclass(thing, enum.Enum):
            for member, value in vars(thing).items():
                value = value.__func__ if isinstance(value, classmethod | staticmethod) else value
                if not member.startswith("_") and isinstance(value, FunctionType | property):
                    yield f"{name}.{member}", value


@pytest.mark.parametrize(("name", "thing"), [pytest.param(*one, id=one[0]) for one in described()])
def test_what_is_public_is_described_in_whole_sentences(name: str, thing: object) -> None:
    text = inspect.getdoc(thing) or ""
    first = text.partition("\n\n")[0].replace("\n", " ")
    assert first.endswith("."), f"{name}: {first!r}"
    assert first[0].isupper() or first.startswith("`"), f"{name}: {first!r}"
    assert not FRAGMENT.match(first), f"{name}: {first!r}"
    assert len(first.split()) >= 3, f"{name}: {first!r}"
    assert not text.startswith(f"{name}("), f"{name} has only what the dataclass made up"


def test_names_are_said_to_type_checkers_as_they_are_loaded() -> None:
    tree = ast.parse(Path(faceloom.__file__).read_text())
    said = {
        alias.asname: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("faceloom.")
        for alias in node.names
        if alias.asname  # the others are used at once, before anything else is imported
    }
    assert said.pop("__version__") == ("faceloom.version", "VERSION")
    assert said == {name: (faceloom._HOMES[name], name) for name in CODE}


def test_every_name_is_there_and_no_other() -> None:
    assert {"plan", "profile", "export", "doctor", "open"} <= set(CODE)
    assert all(callable(thing) for thing in CODE.values())
    with pytest.raises(AttributeError, match="no attribute 'extrct'"):
        faceloom.extrct  # type: ignore[attr-defined]  # noqa: B018


def test_functions_stay_functions_when_modules_of_theirs_are_loaded() -> None:
    code = "import faceloom, faceloom.api, faceloom.diagnosis.machine, faceloom.results.results as r;"
    names = ("plan", "profile", "export", "doctor", "open")
    code += f"assert all(callable(getattr(faceloom, name)) for name in {names}); assert faceloom.open is r.open"
    subprocess.run([sys.executable, "-c", code], check=True)


def check(folder: Path, **scripts: str) -> subprocess.CompletedProcess[str]:
    """mypy --strict over a user's scripts, which find the package as any other that is installed."""
    for name, script in scripts.items():
        (folder / f"{name}.py").write_text(script)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file",
        os.devnull,
        *(f"{name}.py" for name in scripts),
    ]
    paths = os.pathsep.join([str(PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])])
    settings = {name: value for name, value in os.environ.items() if name != "MYPYPATH"}
    return subprocess.run(
        command, cwd=folder, env={**settings, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )


def test_a_users_script_passes_strict_type_checks_and_its_mistakes_do_not(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("script")
    mistakes = {
        "faceloom.extrct('a', 'b')": "attr-defined",
        "faceloom.extract('a', 'b', detct='yunet')": "call-arg",
        "faceloom.open('a').faces(min_scor=1)": "call-arg",
        "text: int = faceloom.export('a')": "assignment",
        "faceloom.open('a').chip('face')": "arg-type",
    }
    done = check(folder, script=SCRIPT, mistakes="import faceloom\n" + "\n".join(mistakes))
    for number, (line, kind) in enumerate(mistakes.items(), start=2):
        assert re.search(rf"mistakes\.py:{number}: error: .*\[{kind}\]", done.stdout), (line, done.stdout)
    assert "in 1 file (checked 2 source files)" in done.stdout, done.stdout + done.stderr
    assert "script.py" not in done.stdout, done.stdout
