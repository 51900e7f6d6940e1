"""`faceloom profile`: what stages cost on this machine."""

import argparse
from typing import TYPE_CHECKING

from faceloom.cli.commands import Argument, Command, keywords
from faceloom.cli.flags import JsonFlags
from faceloom.cli.starting import starting
from faceloom.cli.terminal import say, say_json
from faceloom.options.calls import ProfileOptions
from faceloom.units import MIB, format_bytes

if TYPE_CHECKING:
    from faceloom.memory.footprints import Footprint

_EXAMPLES = """\
Runs do this by themselves for stages that have no footprint yet. Measuring takes a few seconds a stage.

  faceloom profile                             the default stages, for 1080p frames
  faceloom profile film.mkv --mask unet        for the frames of a film
"""


class ProfileFlags(ProfileOptions, JsonFlags, total=False):
    """What `faceloom profile` takes."""


def run(chosen: argparse.Namespace) -> int:
    """Measures, and prints what was found."""
    with starting():
        from faceloom.api import profile
    from faceloom.cli.watching import watching

    with watching(chosen) as on_event:
        found = profile(chosen.inputs, on_event=on_event, **keywords(chosen, ProfileOptions))
    if chosen.json:
        say_json({name: footprint.to_json() for name, footprint in found.items()})
    else:
        say(_in_words(found))
    return 0


def _in_words(found: "dict[str, Footprint]") -> str:
    width = max(map(len, found))
    lines = [f"{'stage':<{width}}  weights MiB  fixed MiB  item MiB  load s  seconds by batch"]
    for name, footprint in found.items():
        weights, fixed, item = (
            size / MIB for size in (footprint.weights_bytes, footprint.fixed_bytes, footprint.item_bytes)
        )
        seconds = "  ".join(f"{batch}: {s:.4f}" for batch, s in footprint.batch_s.items())
        lines.append(
            f"{name:<{width}}  {weights:>11.1f}  {fixed:>9.1f}  {item:>8.1f}  {footprint.load_s:>6.2f}  {seconds}"
        )
    process = max(footprint.process_bytes for footprint in found.values())
    return "\n".join([*lines, "", f"a worker process holds {format_bytes(process)} before any network is loaded"])


PROFILE = Command(
    name="profile",
    description="Measures bytes and seconds of every stage in a scratch process, and keeps them for later runs.",
    examples=_EXAMPLES,
    arguments=(
        Argument(
            name="inputs", metavar="INPUT", help="measure for the largest frame of these (default: 1080p)", nargs="*"
        ),
    ),
    options=ProfileFlags,
    run=run,
)
