"""Tables of measurements whose lines say what is asked of them."""

from dataclasses import dataclass

from truth import markdown


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of a table, what was asked of it, and whether that holds."""

    cells: tuple[str, ...]
    asked: str = ""
    """Empty for a line that is there for comparison."""
    holds: bool = True

    def __str__(self) -> str:
        return f"{self.asked}: {'holds' if self.holds else 'FALLS SHORT'}" if self.asked else "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One measurement."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def holds(self) -> bool:
        """Whether every line does what was asked."""
        return all(row.holds for row in self.rows)

    def __str__(self) -> str:
        return markdown(self.title, (*self.columns, "asked"), [(*row.cells, str(row)) for row in self.rows])
