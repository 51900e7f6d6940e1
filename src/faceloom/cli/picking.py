"""`faceloom pick` and `faceloom sort`: the best faces, and faces in an order."""

import argparse
from typing import TYPE_CHECKING, Annotated

from faceloom.cli.commands import Argument, Command, keywords
from faceloom.cli.flags import JsonFlags
from faceloom.cli.terminal import on_one_line, say, say_json
from faceloom.options.calls import PickOptions, SortOptions
from faceloom.options.option import Option
from faceloom.options.stages import PathLike

if TYPE_CHECKING:
    from faceloom.picking.pick import PickedFaces

_PICK_EXAMPLES = """\
Chips are copied to OUT under readable names; OUT/picked.jsonl says why each was picked (docs/picking.md).

  faceloom pick faces --out best --best 50                          the best 50, unlike each other
  faceloom pick faces --out best --best 20 --each person            of each person 20 (after faceloom group)
  faceloom pick faces --out best --best 60 --bins yaw=5 --bins pitch=3    as evenly from all poses as there are faces
  faceloom pick faces --out best.csv --as list --min-quality 0.5    no chips, only the list
"""
_SORT_EXAMPLES = """\
Chips are copied to OUT under names that begin with their place and the key; OUT/sorted.jsonl has all (docs/picking.md).

  faceloom sort faces --by yaw --bins 5 --out by_yaw            five folders, from one side to the other
  faceloom sort faces --by quality --descending --out sorted    the best first
  faceloom sort faces --by identity --out alike --as links      faces beside those that are like them
  faceloom sort faces --by hue --out hues.csv --as list         no chips, only the list
"""
_TOLD = 20


class PickFlags(PickOptions, JsonFlags, total=False):
    """What `faceloom pick` takes."""

    out: Annotated[
        PathLike,
        Option(help="where to: a new or empty folder, or a list", unit="OUT", is_required=True, example="best"),
    ]


class SortFlags(SortOptions, JsonFlags, total=False):
    """What `faceloom sort` takes."""

    out: Annotated[
        PathLike,
        Option(help="where to: a new or empty folder, or a list", unit="OUT", is_required=True, example="sorted"),
    ]


def pick(chosen: argparse.Namespace) -> int:
    """Picks, and prints what was picked."""
    from faceloom.picking.pick import pick as choose

    picked = choose(chosen.folder, chosen.out, **keywords(chosen, PickOptions))
    if chosen.json:
        say_json(picked.to_json())
    else:
        say(_picked_in_words(picked))
    return 0


def sort(chosen: argparse.Namespace) -> int:
    """Sorts, and prints how many."""
    from faceloom.picking.sort import sort as put_in_order

    done = put_in_order(chosen.folder, chosen.out, **keywords(chosen, SortOptions))
    if chosen.json:
        say_json(done.to_json())
        return 0
    say(f"{done.faces:,} face{'s' * (done.faces != 1)} by {chosen.by} are in {done.out}")
    if done.unknown:
        say(f"{done.unknown:,} of them have no {chosen.by}, and come last")
    if done.lost:
        say(f"left out: {done.lost:,} without a chip, or whose chip is gone")
    return 0


def _picked_in_words(picked: "PickedFaces") -> str:
    count = sum(picked.picked.values())
    lines = [f"{count:,} of {picked.candidates:,} faces are in {picked.out}"]
    if len(picked.picked) > 1:
        lines += [f"  {on_one_line(name):<30}{number:>7,}" for name, number in list(picked.picked.items())[:_TOLD]]
        rest = len(picked.picked) - _TOLD
        lines += [f"  and {rest:,} more (--json has all)"] if rest > 0 else []
    if picked.duplicates:
        lines.append(f"left out: {picked.duplicates:,} near duplicates of them (--duplicates keeps such faces)")
    if picked.lost:
        lines.append(f"left out: {picked.lost:,} whose chips are gone")
    return "\n".join(lines)


PICK = Command(
    name="pick",
    description="Picks faces of high quality that differ in identity, pose, light, expression and time.",
    examples=_PICK_EXAMPLES,
    arguments=(Argument(name="folder", metavar="DIR", help="a result folder"),),
    options=PickFlags,
    run=pick,
)
SORT = Command(
    name="sort",
    description="Lays faces out in the order of a number, or beside those that are like them.",
    examples=_SORT_EXAMPLES,
    arguments=(Argument(name="folder", metavar="DIR", help="a result folder"),),
    options=SortFlags,
    run=sort,
)
