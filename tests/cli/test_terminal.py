import ast
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import faceloom.cli
from faceloom.cli.terminal import Escaping, for_terminal, on_one_line, say_json

_PLACES = Path(faceloom.cli.__file__).parent.glob("*.py")


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left_in_a_text(text: str) -> None:
    shown = for_terminal(text)
    assert all(line.isprintable() for line in shown.split("\n"))
    assert shown.count("\n") == text.count("\n")
    if all(line.isprintable() for line in text.split("\n")):
        assert shown == text
    assert on_one_line({text: [text]}) == {shown.replace("\n", "\\n"): [shown.replace("\n", "\\n")]}


@given(st.text())
def test_a_document_is_what_it_was_and_no_control_characters(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", out := io.StringIO())
        say_json({"a": text})
    assert out.getvalue().removesuffix("\n").isprintable()
    assert json.loads(out.getvalue()) == {"a": text}


def test_a_stream_for_a_terminal_escapes() -> None:
    Escaping(out := io.StringIO()).write("a\x1b[2Jb\u202e\ud800\n")
    assert out.getvalue() == "a\\x1b[2Jb\\u202e\\ud800\n"


@pytest.mark.parametrize("path", [path for path in _PLACES if path.name != "terminal.py"], ids=lambda path: path.stem)
def test_the_command_line_prints_by_one_function(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    printing = [node for node in calls if isinstance(node.func, ast.Name) and node.func.id == "print"]
    assert not printing or path.stem == "completion"  # a script, made of our own words alone
