"""`faceloom models`, `faceloom pull` and `faceloom samples`: what can be fetched, and fetching it."""

import argparse
from pathlib import Path
from typing import Annotated, Any, TypedDict

from faceloom.cli.commands import Argument, Command
from faceloom.cli.flags import JsonFlags
from faceloom.cli.terminal import say, say_json
from faceloom.options.option import Option
from faceloom.suggestions import or_else
from faceloom.units import format_bytes


class PullFlags(TypedDict, total=False):
    """What `faceloom pull` takes."""

    all: Annotated[bool, Option(help="everything that faceloom models lists", default=False)]


class SamplesFlags(TypedDict, total=False):
    """What `faceloom samples` takes: nothing of its own."""


def models(chosen: argparse.Namespace) -> int:
    """Prints every plugin."""
    from faceloom.models.weights import WeightCache

    cache = WeightCache.of_user()
    rows = []
    for name, weights in _plugins().items():
        is_own = weights is not None and not weights.sha256
        found = cache.find(weights) if weights and not is_own else None
        rows.append(
            {
                "stage": name,
                "weights": weights and weights.name,
                "sha256": weights and (weights.sha256 or None),
                "size_bytes": weights.size_bytes if weights else 0,
                "licence": weights and weights.licence,
                "about": weights.about if weights else "drawn from the landmarks, no network",
                "path": found and str(found),
            }
        )
    if chosen.json:
        say_json(rows)
        return 0
    for row in rows:
        size = format_bytes(row["size_bytes"]) if row["sha256"] else "-"
        where = row["path"] or ("not fetched yet" if row["sha256"] else "-")
        say(f"{row['stage']:<20} {size:>9}  {row['licence'] or '-':<11} {where}")
        say(f"{'':<20} {row['about']}")
    return 0


def pull(chosen: argparse.Namespace) -> int:
    """Fetches and prepares weights, and prints where they are."""
    from faceloom.cli.watching import watch
    from faceloom.errors import RequestError
    from faceloom.events import Fetching
    from faceloom.models.weights import WeightCache
    from faceloom.orders.flows import make_flow

    known = {name: weights for name, weights in _plugins().items() if weights and weights.sha256}
    by_name = {**{weights.name: weights for weights in known.values()}, **known}
    names = list(known) if chosen.all else chosen.names or [stage.name for stage in make_flow({}).networks]
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise RequestError(f"there are no weights {unknown[0]!r}; {or_else(unknown[0], by_name)}")
    cache = WeightCache.of_user()
    with watch() as on_event:

        def on_bytes(name: str, done: int, total: int) -> None:
            on_event(Fetching(name=name, done_bytes=done, total_bytes=total))

        paths = {name: cache.prepare(by_name[name], on_bytes=on_bytes) for name in names}
    for name, path in paths.items():
        say(f"{name}: {path}")
    return 0


def samples(chosen: argparse.Namespace) -> int:
    """Writes the samples, and prints where they are."""
    from faceloom.cli.watching import watch
    from faceloom.events import Fetching
    from faceloom.samples import write_samples

    with watch() as on_event:

        def on_bytes(name: str, done: int, total: int) -> None:
            on_event(Fetching(name=name, done_bytes=done, total_bytes=total))

        paths = write_samples(Path(chosen.folder), on_bytes=on_bytes)
    for path in paths:
        say(path)
    return 0


def _plugins() -> dict[str, Any]:
    """Weights, or None, of every plugin by stage name."""
    from faceloom.flow import KINDS, find_plugin, plugin_names

    names = [(kind, name) for kind in KINDS for name in plugin_names(kind)]
    return {f"{kind}/{name}": find_plugin(kind, name).weights for kind, name in names}


MODELS = Command(
    name="models",
    description="Lists every plugin, the licence and size of its weights, and where on this machine they are.",
    options=JsonFlags,
    run=models,
)
PULL = Command(
    name="pull",
    description="Fetches and prepares weights; without names, those of the default flow.",
    arguments=(
        Argument(
            name="names",
            metavar="NAME",
            help="a plugin such as detect/centerface, or the name of its weights",
            nargs="*",
        ),
    ),
    options=PullFlags,
    run=pull,
)
SAMPLES = Command(
    name="samples",
    description="Writes a portrait, a crowd, a short clip, and truth.json with the true box of every face.",
    arguments=(Argument(name="folder", metavar="DIR", help="where to write them; files that are there already stay"),),
    options=SamplesFlags,
    run=samples,
)
