import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import faceloom

ROWS = (
    ("isolation", "starting", "units", "early", "errors", "faults", "version", "suggestions", "choices", "discovery"),
    ("options",),
    ("geometry",),
    ("tracking",),
    ("thumbnails", "attributes", "faces", "frame", "stage", "tensors"),
    ("formats",),
    ("models", "networks"),
    ("engines",),
    ("detect", "align", "mask", "identify"),
    ("canvases", "flow"),
    ("media",),
    ("memory",),
    ("solver",),
    ("targets", "selection", "events", "job"),
    ("store",),
    ("people",),
    ("messages", "grouping", "correcting", "naming"),
    ("results",),
    ("picking", "timelines"),
    ("pipeline",),
    ("worker",),
    ("supervisor",),
    ("orders",),
    ("samples", "live_runs", "remaking", "filling", "tracks", "api", "finding"),
    ("review", "redacting"),
    ("diagnosis",),
    ("cli",),
    ("__main__",),
)
PLACES = {name: (row, column) for row, names in enumerate(ROWS) for column, name in enumerate(names)}
ROOT = Path(faceloom.__file__).parent
MODULES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
    if path != ROOT / "__init__.py"
}
MOST_LINES = 40
HEAVY = {"av", "cv2", "numpy", "onnx", "onnxruntime", "PIL", "rich", "torch"}


def imported(module: str) -> Iterator[str]:
    """Modules of ours that a module names in an import, wherever in its text."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] == "faceloom")
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} has a relative import"
            assert node.module
            if node.module.partition(".")[0] == "faceloom":
                members = [f"{node.module}.{alias.name}" for alias in node.names]
                yield from (member if member in MODULES else node.module for member in members)


def top_of(module: str) -> str:
    return [*module.split("."), "faceloom"][1]


def may_import(top: str, other: str) -> bool:
    """Whether a module or package of the top level may name another one."""
    if top == other:
        return True
    if other == "faceloom":  # the public face of the package, for users alone
        return False
    (row, column), (other_row, other_column) = PLACES[top], PLACES[other]
    are_files = all((ROOT / f"{name}.py").is_file() for name in (top, other))
    return other_row < row or (other_row == row and are_files and other_column < column)


@pytest.mark.parametrize("module", [name for name in MODULES if top_of(name) == "supervisor"])
def test_the_supervisor_imports_nothing_that_sees_a_pixel(module: str) -> None:
    assert not {"pipeline", "worker"} & {top_of(name) for name in imported(module)}


@pytest.mark.parametrize("module", [name for name in MODULES if top_of(name) == "solver"])
def test_the_solver_takes_numbers_and_answers_with_a_plan(module: str) -> None:
    assert {top_of(name) for name in imported(module)} <= {"solver", "units", "errors"}


def test_no_class_has_the_name_of_another() -> None:
    homes: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(module)
    assert not {name: modules for name, modules in homes.items() if len(modules) > 1}


def own_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function, its docstring left out."""
    first = function.body[0]
    docstring = first.end_lineno - first.lineno + 1 if ast.get_docstring(function) and first.end_lineno else 0
    assert function.end_lineno
    return function.end_lineno - function.lineno + 1 - docstring


def test_no_function_is_longer_than_forty_lines() -> None:
    long = {}
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and own_lines(node) > MOST_LINES:
                long[f"{module}.{node.name}"] = own_lines(node)
    assert not long


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_rows_before_its_own(module: str) -> None:
    wrong = [name for name in imported(module) if not may_import(top_of(module), top_of(name))]
    assert not wrong


def test_no_modules_import_each_other_in_a_circle() -> None:
    order = TopologicalSorter({module: set(imported(module)) - {module} for module in MODULES})
    order.prepare()  # raises CycleError with the circle


def test_every_module_has_a_row() -> None:
    assert {top_of(module) for module in MODULES} <= set(PLACES)


def loaded_by(code: str) -> set[str]:
    """The modules that there are after some code has run in a process of its own."""
    command = [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_the_package_and_its_command_line_start_without_heavy_modules() -> None:
    assert not HEAVY & loaded_by("import faceloom, faceloom.cli.main as main; main.make_parser()")


def test_the_process_that_plans_and_writes_the_store_loads_no_module_for_pixels() -> None:
    assert not (HEAVY - {"numpy"}) & loaded_by("import faceloom.api; faceloom.api.make_flow({})")
