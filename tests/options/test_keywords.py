import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import faceloom
from faceloom.errors import RequestError
from faceloom.memory.budget import budget_bytes_of
from faceloom.options import calls, keywords
from faceloom.options.declared import declared, filled
from faceloom.orders.flows import make_flow
from faceloom.units import MIB

FUNCTIONS: list[tuple[Callable[..., Any], type[Any]]] = [
    (faceloom.extract, calls.ExtractOptions),
    (faceloom.extend, calls.ExtendOptions),
    (faceloom.derive, calls.DeriveOptions),
    (faceloom.redact, calls.RedactOptions),
    (faceloom.stream, calls.StreamOptions),
    (faceloom.passes, calls.PassesOptions),
    (faceloom.chip, calls.ChipCutOptions),
    (faceloom.group, calls.GroupOptions),
    (faceloom.track, calls.TrackOptions),
    (faceloom.forget, calls.ForgetOptions),
    (faceloom.export, calls.ExportOptions),
    (faceloom.merge, calls.MergeOptions),
    (faceloom.plan, calls.PlanOptions),
    (faceloom.profile, calls.ProfileOptions),
]


@pytest.mark.parametrize(("function", "table"), FUNCTIONS)
def test_help_lists_every_option_once(function: Callable[..., Any], table: type[Any]) -> None:
    names = list(inspect.signature(function).parameters)
    assert names[-len(declared(table)) :] == list(declared(table))
    text = inspect.getdoc(function)
    assert text is not None
    for name in declared(table):
        assert text.count(f"\n    {name}: ") == 1


def as_written(**options: Any) -> None:
    """Does nothing.

    Args:
        options: many.
    """


def test_docstrings_may_come_without_their_indentation_as_of_python_3_13() -> None:
    def without(**options: Any) -> None: ...

    without.__doc__ = inspect.cleandoc(as_written.__doc__ or "")
    text = keywords.takes(calls.ChipCutOptions)(as_written).__doc__
    assert keywords.takes(calls.ChipCutOptions)(without).__doc__ == text


@pytest.mark.parametrize("function", [function for function, _ in FUNCTIONS])
def test_a_keyword_that_there_is_not_is_a_type_error(function: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=f"{function.__name__}.. takes no keyword 'colour'"):
        function("a", colour="red")


def test_the_nearest_keyword_is_named(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="did you mean 'detect'"):
        faceloom.extract(tmp_path, tmp_path / "out", detct="centerface")  # type: ignore[call-arg]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "stages"),
    [
        ({"mask": "unet"}, ["detect/yunet", "align/facemesh", "mask/unet"]),
        ({"mask": ["none"]}, ["detect/yunet", "align/facemesh"]),
        ({"mask": "none"}, ["detect/yunet", "align/facemesh"]),
        ({"mask": ()}, ["detect/yunet", "align/facemesh"]),
        ({"mask": None}, ["detect/yunet", "align/facemesh", "mask/components", "mask/extended"]),
        ({"align": "none"}, ["detect/yunet"]),
        ({"align": None}, ["detect/yunet"]),
        ({"identify": "none", "mask": []}, ["detect/yunet", "align/facemesh"]),
    ],
)
def test_words_mean_in_python_what_they_mean_on_the_command_line(options: dict[str, Any], stages: list[str]) -> None:
    assert [stage.name for stage in make_flow(options).stages] == stages


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 5}, "size is 5, but has to be 64 to 1024"),
        ({"size": "256"}, "a whole number"),
        ({"size": True}, "a whole number"),
        ({"level": 1}, "True or False"),
        ({"min_score": 0}, "above 0 and at most 1"),
        ({"min_score": float("nan")}, "above 0"),
        ({"crop": "hed"}, "did you mean 'head'"),
        ({"detect": None}, "a text"),
        ({"mask": 3}, "a list of texts"),
        ({"mask": [3]}, "a text"),
        ({"like": {"a": "b"}}, "a list of paths"),
        ({"weights": ["detect/yunet=a.onnx"]}, "a dictionary"),
        ({"out": 3}, None),
    ],
)
def test_a_value_that_an_option_cannot_have_is_refused(options: dict[str, Any], words: str | None) -> None:
    if words is None:
        assert "out" not in filled(calls.ExtractOptions, options)
        return
    with pytest.raises(RequestError, match=words):
        filled(calls.ExtractOptions, options)


def test_numbers_of_numpy_are_numbers() -> None:
    taken = filled(calls.ExtractOptions, {"size": np.int64(128), "min_score": np.float32(0.5), "min_size": np.int32(4)})
    assert (taken["size"], taken["min_score"], taken["min_size"]) == (128, 0.5, 4)


def test_what_is_left_out_has_its_default() -> None:
    taken = filled(calls.ExtractOptions, {})
    assert {name: one.option.default for name, one in declared(calls.ExtractOptions).items()} == dict(taken)


@pytest.mark.parametrize("memory", ["800", "1048575", 800, "1,000"])
def test_a_size_without_a_unit_that_holds_nothing_is_refused_with_what_was_meant(memory: int | str) -> None:
    with pytest.raises(RequestError, match=f"did you mean {memory}MiB"):
        budget_bytes_of(memory)


@pytest.mark.parametrize(("memory", "size"), [("1048576", MIB), (MIB, MIB), ("800KiB", 800 << 10), ("1MiB", MIB)])
def test_a_size_that_says_what_it_means_is_taken(memory: int | str, size: int) -> None:
    assert budget_bytes_of(memory) == size
