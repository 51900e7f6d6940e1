"""Every option of every command is given in every way there is, and seen to arrive."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import faceloom.api
from conftest import prepared
from every_option import COMPANIONS, Notebook, all_options, by_file, by_flag, given, make_files
from faceloom.cli.commands import Command, keywords
from faceloom.cli.flags import CommonFlags
from faceloom.models.catalog import CATALOG
from faceloom.models.weights import WeightCache
from faceloom.options.calls import (
    DeriveOptions,
    ExtendOptions,
    ExtractOptions,
    PassesOptions,
    PlanOptions,
    ProfileOptions,
    StreamOptions,
)
from faceloom.options.declared import declared

LIBRARY: Mapping[str, tuple[type[Any], Callable[..., Any], tuple[Any, ...]]] = {
    "extract": (ExtractOptions, faceloom.api.extract, ("in.png", "result")),
    "plan": (PlanOptions, faceloom.api.plan, ("in.png",)),
    "profile": (ProfileOptions, faceloom.api.profile, (("in.png",),)),
    "extend": (ExtendOptions, faceloom.api.extend, ("folder",)),
    "derive": (DeriveOptions, faceloom.api.derive, ("folder", "result")),
}
"""The commands that end in a run, with the table and the function of each."""


def named(cases: list[tuple[Command, str]]) -> list[Any]:
    return [pytest.param(command, name, id=f"{command.name}-{name}") for command, name in cases]


OF_RUNS = [
    (command, name)
    for command, name in all_options()
    if command.name in LIBRARY and name in declared(LIBRARY[command.name][0])
]


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: WeightCache) -> Notebook:
    prepared(cache, "yunet")  # or skips
    make_files(tmp_path, cache.pull(CATALOG["yunet"]))
    monkeypatch.chdir(tmp_path)
    return Notebook(monkeypatch)


@pytest.mark.parametrize(("command", "name"), named(all_options()))
def test_a_command_reads_what_it_was_told(command: Command, name: str, notebook: Notebook) -> None:
    """As a flag: `test_option_files.py` shows that a file comes to the same before a command sees it."""
    one = command.declared[name]
    _, options = given(command, one)
    by_flag(command, options)
    (told,) = notebook.told
    assert name in told.read
    table = command.options if name in declared(command.options) else CommonFlags
    assert one.take(keywords(told, table)[name]) == one.take(options[name])


@pytest.mark.parametrize(("command", "name"), named(OF_RUNS))
def test_an_option_arrives_in_the_run_by_flag_by_file_and_by_keyword(
    command: Command, name: str, notebook: Notebook
) -> None:
    _, function, arguments = LIBRARY[command.name]
    others, options = given(command, command.declared[name])
    by_flag(command, options)
    by_file(command, options)
    function(*arguments, **{key: value for key, value in options.items() if key != "out"})
    flag, file, keyword = notebook.asked
    assert flag == file == keyword
    by_flag(command, others)
    assert notebook.asked[3:] != [flag]


@pytest.mark.parametrize("name", sorted(declared(PassesOptions).keys() - declared(StreamOptions).keys()))
def test_an_option_of_passes_arrives(name: str, notebook: Notebook) -> None:
    one = declared(PassesOptions)[name]
    value = one.option.example or not one.option.default
    companions: dict[str, Any] = {"mask": ["unet"], "identify": "sface"}
    for options in (companions, {**companions, name: value}):
        with faceloom.api.passes("in.png", **options):
            pass
    usual, asked = notebook.asked
    assert usual != asked


@pytest.mark.parametrize("name", list(declared(StreamOptions)))
def test_an_option_of_a_stream_arrives(name: str, notebook: Notebook) -> None:
    one = declared(StreamOptions)[name]
    value = not one.option.default if one.option.example is None else one.option.example
    besides = {other: told for other, told in COMPANIONS.get(name, {}).items() if other in declared(StreamOptions)}
    for options in (besides, {**besides, name: value}):
        list(faceloom.api.stream("in.png", **options))
    usual, asked = notebook.asked
    assert usual != asked
