"""Progress in a terminal: what is under way and what it holds, and below that a bar, counts, and when it ends."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

from faceloom.cli.progress import Told, counts_of, eta_of, line, memory_of, work_of
from faceloom.cli.terminal import for_terminal
from faceloom.events import Event, Notice, OnEvent, Progress


@contextmanager
def live(console: Console | None = None) -> Iterator[OnEvent]:
    """Draws events in place, notices above them."""
    console = console or Console(stderr=True, highlight=False)
    told = Told()
    drawing = _Drawing(console)
    with Live(Text(), console=console, refresh_per_second=8, transient=True) as shown:

        def on_event(event: Event) -> None:
            if not isinstance(event, Notice):
                shown.update(drawing.of(event))
            elif told.is_new(event):
                console.print(for_terminal(f"faceloom: {event.text}"), markup=False)

        yield on_event


class _Drawing:
    """What is shown of an event."""

    def __init__(self, console: Console) -> None:
        # Of what does not fit, the bar gives way first; the time that is left is always there.
        self._bars = Bars(
            BarColumn(bar_width=None, table_column=Column(ratio=1)),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
            TextColumn("{task.fields[eta]}", markup=False, table_column=Column(no_wrap=True, min_width=8)),
            console=console,
            expand=True,
        )
        self._task = self._bars.add_task("", eta="")

    def of(self, event: Event) -> RenderableType:
        """The lines for an event."""
        if not isinstance(event, Progress):
            return _one_line(line(event))
        self._bars.update(
            self._task,
            completed=event.frames,
            total=event.total_frames,
            description="  ".join(counts_of(event)),
            eta=eta_of(event),
        )
        return Group(_one_line("   ".join([work_of(event), *memory_of(event)])), self._bars.get_renderable())


def _one_line(text: str) -> Text:
    return Text(for_terminal(text), no_wrap=True, overflow="ellipsis")
