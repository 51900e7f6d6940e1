"""Presets: options that hold where nobody says, in Python, on the command line and from a file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from faceloom.cli.commands import keywords
from faceloom.cli.listing import every_command
from faceloom.cli.main import make_parser
from faceloom.cli.option_files import take_options
from faceloom.errors import RequestError
from faceloom.options.calls import ExtractOptions, StreamOptions
from faceloom.options.declared import declared, filled
from faceloom.options.presets import PRESETS
from faceloom.orders.flows import make_flow


def stages(given: Mapping[str, Any]) -> list[str]:
    return [stage.name for stage in make_flow(filled(ExtractOptions, given)).stages]


def on_the_command_line(*flags: str) -> dict[str, Any]:
    parser, _ = make_parser()
    chosen = parser.parse_args(["extract", "media", "--out", "faces", *flags])
    return dict(filled(ExtractOptions, keywords(chosen, ExtractOptions)))


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("table", [ExtractOptions, StreamOptions])
def test_a_preset_sets_options_that_there_are_and_nothing_else(name: str, table: type[Any]) -> None:
    usual, preset = filled(table, {}), filled(table, {"preset": name})
    assert PRESETS[name].keys() <= declared(table).keys()
    for option in declared(table):
        assert preset[option] == (PRESETS[name].get(option, usual[option]) if option != "preset" else name)


@pytest.mark.parametrize("name", PRESETS)
def test_what_a_preset_says_can_be_said_one_by_one(name: str) -> None:
    assert make_flow(filled(ExtractOptions, {"preset": name})).describe() == make_flow(PRESETS[name]).describe()


def test_single_options_override_also_where_they_say_what_holds_usually() -> None:
    assert "detect/yunet" in stages({"preset": "best", "detect": "yunet"})
    assert "align/facemesh" in stages({"preset": "best", "align": "facemesh"})
    assert filled(ExtractOptions, {"preset": "best", "rotate": None})["rotate"] is None
    assert on_the_command_line("--preset", "best", "--detect", "yunet", "--enlarge=1.0")["enlarge"] == 1.0
    told = on_the_command_line("--detect", "yunet", "--preset", "best")
    assert (told["detect"], told["min_score"], told["align"]) == ("yunet", None, ("facemesh_v2", "pfld"))


def test_the_command_line_says_what_python_says() -> None:
    for name in PRESETS:
        assert on_the_command_line("--preset", name) == dict(filled(ExtractOptions, {"preset": name, "out": "faces"}))
    assert on_the_command_line() == dict(filled(ExtractOptions, {"out": "faces"}))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"aligned": True}, ["align/facemesh_v2", "align/pfld", "mask/components", "mask/extended", "mask/face"]),
        ({"align": "none"}, ["detect/yunet_n"]),
        ({"align": None, "detect": "yunet"}, ["detect/yunet"]),
    ],
)
def test_what_makes_no_sense_beside_other_options_is_left_out(given: dict[str, Any], expected: Sequence[str]) -> None:
    assert stages({"preset": "best", **given}) == expected


def test_a_file_overrides_a_preset_and_may_name_one(tmp_path: Path) -> None:
    file = tmp_path / "faceloom.toml"
    file.write_text('[extract]\npreset = "best"\ndetect = "centerface"\n')
    parser, parsers = make_parser()
    take_options(["--config", str(file), "extract"], parsers)
    told = filled(ExtractOptions, keywords(parser.parse_args(["extract", "media", "--out", "faces"]), ExtractOptions))
    assert (told["preset"], told["detect"], told["enlarge"]) == ("best", "centerface", PRESETS["best"]["enlarge"])


def test_an_unknown_preset_is_refused_with_the_nearest() -> None:
    with pytest.raises(RequestError, match="did you mean 'best'"):
        filled(ExtractOptions, {"preset": "bets"})


def test_every_command_that_finds_faces_has_presets() -> None:
    having = {command.name for command in every_command() if "preset" in command.declared}
    assert having == {"extract", "plan", "profile"}
