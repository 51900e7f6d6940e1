import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_of_options_is_made_of_the_options() -> None:
    made = runpy.run_path(str(ROOT / "tools" / "make_options_page.py"))["page"]()
    assert (ROOT / "docs" / "options.md").read_text(encoding="utf-8") == made
