"""Writes the section *Unreleased* of CHANGELOG.md from the files in changes/; with `--check` says if it is current."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "CHANGELOG.md"
PLACE = re.compile(r"(?<=<!-- unreleased: written by scripts/docs -->\n).*?(?=<!-- releases:)", re.DOTALL)


def main() -> int:
    """Writes the section, or compares it."""
    command = ["build", "--draft", "--version", "Unreleased", "--date", "not yet"]
    draft = subprocess.run(
        [sys.executable, "-m", "towncrier", *command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    section = draft.stdout.replace("## Unreleased (not yet)", "## Unreleased").strip()
    before = PAGE.read_text(encoding="utf-8")
    after = PLACE.sub(lambda _: f"\n{section}\n\n", before)
    if "--check" in sys.argv:
        return int(before != after)
    PAGE.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
