"""`faceloom extend`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceloom.cli.extract import add_machine_flags, add_report_flags, do_and_report, settings_of, weight_files

if TYPE_CHECKING:
    from faceloom.events import OnEvent, Summary
    from faceloom.supervisor.inputs import ShouldStop

_EPILOG = """\
Frames are read again where they were; nothing is detected or aligned again, and crops stay as they are. Run the same
command again after any kind of end: it goes on where it stopped. Later faceloom extract with all stages goes on too.

  faceloom extend faces --mask unet                     one more mask for every face
  faceloom extend faces --mask unet --identify sface    and embeddings
"""
_MACHINE = ("threads", "device", "exclude_device", "engine")


def add_parsers(commands: Any) -> None:
    """Adds this module's command."""
    parser = commands.add_parser(
        "extend",
        help="add masks or embeddings to a result, without detecting again",
        description="Adds stages to the faces of a result folder: only these run, and only on faces that miss them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("folder", metavar="DIR", help="a result folder")
    stages = parser.add_argument_group("stages (see: faceloom models)")
    stages.add_argument("--mask", action="append", default=[], metavar="NAME", help="mask to add, may be repeated")
    stages.add_argument("--identify", metavar="NAME", help="identifier to add")
    stages.add_argument(
        "--weights",
        action="append",
        default=[],
        metavar="STAGE=FILE",
        help="a weight file of your own; may be repeated",
    )
    stages.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="STAGE.OPTION=VALUE",
        help="an option of a plugin (docs/plugins.md); may be repeated",
    )
    add_machine_flags(parser, precision=False)
    add_report_flags(parser)


def run(chosen: argparse.Namespace) -> int:
    """Extends, and prints how it ended."""
    from faceloom.api import extend

    def work(on_event: "OnEvent", should_stop: "ShouldStop") -> "Summary":
        return extend(
            chosen.folder,
            mask=chosen.mask,
            identify=chosen.identify,
            weights=weight_files(chosen.weights),
            settings=settings_of(chosen.set),
            memory=chosen.memory,
            ram=chosen.ram,
            on_event=on_event,
            should_stop=should_stop,
            **{name: value for name in _MACHINE if (value := getattr(chosen, name)) is not None},
        )

    return do_and_report(work, chosen, Path(chosen.folder))
