from pathlib import Path

import pytest

from faceloom.models.catalog import CATALOG

PAGE = Path(__file__).parents[2] / "docs" / "networks.md"


@pytest.mark.parametrize("name", CATALOG)
def test_every_file_of_the_catalog_has_a_card_with_its_licence(name: str) -> None:
    (card,) = (line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{name}` |"))
    licence = card.split("|")[3]
    assert licence.split()[0].rstrip(",") in CATALOG[name].licence
