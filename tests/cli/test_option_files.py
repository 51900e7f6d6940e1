import argparse
import contextlib
import functools
import json
from pathlib import Path
from typing import Any

import pytest

from faceloom.cli import main as command_line
from faceloom.cli.main import main
from faceloom.cli.option_files import FILE, take_options
from faceloom.cli.parser import Parser
from faceloom.errors import RequestError
from faceloom.store.summary import read_summary


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parsed(*arguments: str) -> argparse.Namespace:
    parser, commands = command_line.make_parser()
    take_options(arguments, commands)
    return parser.parse_args(arguments)


@functools.cache
def parsers() -> dict[str, Parser]:
    """Those of all commands, to be looked at: what parses is made anew each time."""
    return command_line.make_parser()[1]


def flags() -> list[tuple[str, str]]:
    return [(command, name) for command, parser in parsers().items() for name, _ in parser.options()]


def is_far_reaching(command: str, name: str) -> bool:
    """Whether an option names files or folders, or what is to be forgotten."""
    return command == "forget" or name in parsers()[command].place_options


def needed(command: str, *, but: str) -> list[str]:
    """What a command has to be given besides one option."""
    parser = parsers()[command]
    flags = [f"--{name}=1" for name, action in parser.options() if action.required and name != but]
    return [*flags, *("x" for action in parser._get_positional_actions() if action.nargs not in {"*", "?"})]


def value_of(action: argparse.Action) -> Any:
    """Something that the flag takes."""
    if action.nargs == 0:
        return True
    for value in action.choices or ("some", 7, 0.5, "10%", "1:00"):
        with contextlib.suppress(ValueError, TypeError, argparse.ArgumentTypeError):
            (action.type if callable(action.type) else str)(str(value))
            return value
    raise AssertionError(f"nothing here is for {action}")


@pytest.mark.parametrize(("command", "name"), flags())
def test_every_flag_of_every_command_means_the_same_in_a_file(command: str, name: str, here: Path) -> None:
    action = dict(parsers()[command].options())[name]
    value = value_of(action)
    flag = f"--{name.replace('_', '-')}"
    typed = parsed(command, *needed(command, but=name), *([flag] if action.nargs == 0 else [flag, str(value)]))
    for key in (name, name.replace("_", "-")):
        (here / "named.toml").write_text(f"[{command}]\n{key} = {json.dumps(value)}\n")
        named = vars(parsed("--config", "named.toml", command, *needed(command, but=name)))
        assert {**named, "config": None} == {**vars(typed), "config": None}


def test_flags_on_the_command_line_win(here: Path) -> None:
    (here / "named.toml").write_text('[extract]\nout = "there"\nsize = 128\nmask = ["unet", "components"]\n')
    chosen = parsed("--config", "named.toml", "extract", "in")
    assert (chosen.out, chosen.size, chosen.mask) == ("there", 128, ["unet", "components"])
    chosen = parsed(
        "extract", "in", "--config=named.toml", "--out", "here", "--size", "64", "--mask", "extended", "--mask", "none"
    )
    assert (chosen.out, chosen.size, chosen.mask) == ("here", 64, ["extended", "none"])


def test_what_stands_before_all_tables_is_for_every_command_that_has_it(here: Path) -> None:
    (here / FILE).write_text('memory = "800MiB"\nsize = 64\n[plan]\nmemory = "2GiB"\n')
    assert (parsed("extract", "in", "--out", "x").memory, parsed("plan", "in").memory) == ("800MiB", "2GiB")
    assert not hasattr(parsed("profile"), "size")


def test_another_file_is_taken_in_place_of_the_folders(here: Path) -> None:
    (here / FILE).write_text("[extract]\nsize = 64\nmask_size = 32\n")
    (here / "other.toml").write_text("[extract]\nsize = 128\n")
    for arguments in (["--config", "other.toml", "extract"], ["extract", "--config=other.toml"]):
        chosen = parsed(*arguments, "in", "--out", "x")
        assert (chosen.size, chosen.mask_size) == (128, 256)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[extract]\ndetcet = 'yunet'\n", "extract has no option 'detcet'; did you mean 'detect'?"),
        ("[extrakt]\n", "no command 'extrakt'; did you mean 'extract'?"),
        ("memroy = '1GiB'\n", "no command has an option 'memroy'; did you mean 'memory'?"),
        ("[extract]\nsize = 'large'\n", "size of extract is 'large', which --size does not take"),
        ("[extract]\nformat = 'gif'\n", "has to be one of: jpg, png"),
        ("[extract]\noverlay = 1\n", "has to be true or false"),
        ("[extract]\ndetect = true\n", "has to be a text or a number"),
        ("[extract]\ndetect = ['yunet']\n", "has to be a text or a number"),
        ("[extract\n", "is no TOML"),
        (f"size = {'[' * 9000}{']' * 9000}\n", "is no TOML"),
        (f"{'a.' * 9000}b = 1\n", ""),
        (f"x = {'{y=' * 9000}\n", "is no TOML"),
        ("#" * (1 << 20) + "\n", "no file of options"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_before_anything_is_done(
    content: str, words: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / FILE).write_text(content)
    assert main(["extract", "in", "--out", "x"]) == 2
    assert words in capsys.readouterr().err
    assert not (here / "x").exists()


def test_a_file_that_is_named_has_to_be_there() -> None:
    with pytest.raises(RequestError, match="No such file"):
        parsed("extract", "in", "--out", "x", "--config", "gone.toml")


def test_help_tells_of_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["extract", "--help"]):
        with pytest.raises(SystemExit):
            main(arguments)
        assert FILE in capsys.readouterr().out


def test_a_run_follows_the_file(samples: Path, here: Path) -> None:
    (here / FILE).write_text('[extract]\nalign = "none"\nmin-score = 0.9\nno-chips = true\nquiet = true\n')
    assert main(["extract", str(samples / "portrait.png"), "--out", "out"]) == 0
    config = read_summary(here / "out")["config"]
    assert list(config["stages"]) == ["detect/yunet"]
    assert (config["stages"]["detect/yunet"]["min_score"], config["chips"]) == (0.9, None)


@pytest.mark.parametrize(("command", "name"), [each for each in flags() if is_far_reaching(*each)])
def test_a_file_that_is_only_found_sets_no_place_and_nothing_of_forget(command: str, name: str, here: Path) -> None:
    value = value_of(dict(parsers()[command].options())[name])
    for key in (name, name.replace("_", "-")):
        (here / FILE).write_text(f"[{command}]\n{key} = {json.dumps(value)}\n")
        with pytest.raises(RequestError, match=f"may not set {name} of {command}.*--config"):
            parsed(command, *needed(command, but=name))
        if command != "forget":
            (here / FILE).write_text(f"{key} = {json.dumps(value)}\n")
            with pytest.raises(RequestError, match=f"may not set {name}"):
                parsed(command, *needed(command, but=name))


@pytest.mark.parametrize("name", ["out", "log_file", "from", "like", "unlike"])
def test_the_places_of_extract_are_known_as_places(name: str) -> None:
    assert is_far_reaching("extract", name)


@pytest.mark.parametrize("told", ["../net.onnx", "/net.onnx", "link/net.onnx", "nets/../../net.onnx", "a\0b"])
def test_a_file_that_is_only_found_names_weights_in_its_own_folder(told: str, here: Path, tmp_path: Path) -> None:
    (here / "link").symlink_to(tmp_path.parent)
    for value in (told, [told]):
        weights = [f"detect/yunet={text}" for text in ([value] if isinstance(value, str) else value)]
        (here / FILE).write_text(f"[extract]\nweights = {json.dumps(weights)}\n")
        with pytest.raises(RequestError, match="may not name weights outside"):
            parsed("extract", "in", "--out", "x")
    (here / FILE).write_text('[extract]\nweights = ["detect/yunet=nets/net.onnx"]\n')
    assert parsed("extract", "in", "--out", "x").weights == ["detect/yunet=nets/net.onnx"]


def test_a_file_that_is_only_found_says_that_it_is_used(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / FILE).write_text("[extract]\nsize = 64\n")
    parsed("extract", "in", "--out", "x")
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert FILE in told.err
    for arguments in (["plan", "in"], ["extract", "in", "--out", "x", "--config", FILE]):
        parsed(*arguments)
        assert not capsys.readouterr().err
