import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import faceloom
from test_layers import ROWS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "faceloom"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "README.md"])
FOLDERS_OF_FILES = {"benchmarks", "docs", "examples", "scripts", "tests", "tools"}
FILE = re.compile(r"(?:[\w.-]+/)+(?:[\w-]+\.(?:md|npy|onnx|py|sql|toml)|)")
MADE = {"benchmarks/out"}
FORMER_WORDS = re.compile(r"\b(agenda|clerk|crew|entrants?|fleet|muster|takeup)\b", re.IGNORECASE)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose_of(page: Path) -> str:
    """A page without its blocks of code."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"^ {4,}\$ .*$", "", text, flags=re.MULTILINE)


def anchors_of(page: Path) -> set[str]:
    """The places of a page that a link can name, as GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links_of(page: Path) -> Iterator[tuple[Path, str]]:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield (page.parent / path).resolve() if path else page, anchor


def files_of(page: Path) -> Iterator[str]:
    """What a page names in backticks that reads like a file or a folder of this repository."""
    own_folders = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    for code in re.findall(r"`([^`\n]+)`", prose_of(page)):
        for word in code.split():
            first = word.split("/")[0]
            if "/" not in word:
                continue
            reads_like_ours = FILE.fullmatch(word) and (first in own_folders or word.endswith(".py"))
            if reads_like_ours or first in FOLDERS_OF_FILES:
                yield word.rstrip("/")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_pages_and_headings_that_exist(page: Path) -> None:
    broken = [
        f"{path}#{anchor}"
        for path, anchor in links_of(page)
        if not path.exists() or (anchor and anchor not in anchors_of(path))
    ]
    assert not broken


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name_of)
def test_files_that_pages_name_exist(page: Path) -> None:
    named = set(files_of(page)) - MADE
    assert not [name for name in named if not any((place / name).exists() for place in (ROOT, PACKAGE, page.parent))]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_use_the_words_of_the_field(page: Path) -> None:
    assert not FORMER_WORDS.findall(prose_of(page))


def test_the_tour_takes_a_frame_through_modules_that_exist() -> None:
    way = (ROOT / "docs" / "tour.md").read_text().partition("## A frame's way")[2].partition("\n## ")[0]
    modules = [re.findall(r"`(\w+/\w+)`", step)[0] for step in re.split(r"^\d+\. ", way, flags=re.MULTILINE)[1:]]
    assert len(set(modules)) == len(modules) == 20
    assert all((PACKAGE / f"{module}.py").is_file() for module in modules)


def test_the_layer_map_is_the_one_that_is_tested() -> None:
    layers = (ROOT / "docs" / "design.md").read_text().partition("\n## Layers\n")[2]
    rows = re.findall(r"^\| (`.*?`) \|", layers, re.MULTILINE)
    assert [tuple(re.findall(r"`(\w+)`", row)) for row in rows] == list(ROWS)


def test_the_page_of_the_library_has_every_public_name() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    assert not [name for name in faceloom.__all__ if f"### `{name}`" not in page and f"`faceloom.{name}`" not in page]


@pytest.mark.parametrize(("tool", "maker"), [("griffe2md", "make_api.py"), ("towncrier", "make_changelog.py")])
def test_pages_that_are_made_are_current(tool: str, maker: str) -> None:
    if find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed: it is in the extra 'test'")
    done = subprocess.run([sys.executable, ROOT / "tools" / maker, "--check"], check=False)
    assert done.returncode == 0, "run scripts/docs"


def test_what_has_changed_is_in_files_that_the_changelog_is_made_of() -> None:
    names = {path.name for path in (ROOT / "changes").iterdir()} - {"template.jinja"}
    kinds = r"[\w-]+\.(added|changed|fixed|removed)\.md"
    assert not [name for name in names if not re.fullmatch(kinds, name)], "see CONTRIBUTING.md"


def test_versions_of_the_changelog_are_dated_and_name_no_issues() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    first, *others = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert first == "Unreleased"
    assert others
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d{2}-\d{2}\)", version) for version in others)
    assert not re.findall(r"#\d|\bissue", text)
