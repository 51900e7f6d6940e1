"""Makes docs/api.md of the docstrings: `python tools/make_api.py`; with `--check` says whether it is current.

Functions are documented as they are when the program runs, since their signatures and docstrings may list options that
are declared elsewhere; classes as they are written, since only their text has what is said of each field.
"""

import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import griffe
import griffe2md

import faceloom

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "api.md"
CONTRACTS = {
    "faceloom.stage": ("PinnedFile",),
    "faceloom.detect": ("Detector",),
    "faceloom.align": ("Alignment", "Aligner"),
    "faceloom.mask": ("NetworkMask", "LandmarkMask"),
    "faceloom.identify": ("Identifier",),
    "faceloom.faces": ("Candidates",),
}
EVENTS = ("Fetching", "Measuring", "Counting", "Progress", "Writing", "Notice")
CONFIG = {
    **griffe2md.default_config,
    "heading_level": 3,
    "inherited_members": False,
    "members_order": "source",
    "show_bases": False,
    "show_object_full_path": False,
    "show_root_full_path": False,
    "show_root_members_full_path": False,
    "show_signature_annotations": True,
    "summary": False,
}
_ONE_ANSWER: griffe.GoogleOptions = {"returns_multiple_items": False, "returns_named_value": False}
"""What is said of an answer may go over several lines."""
INTRODUCTION = """\
# The library

Every public name of `faceloom`, made of the docstrings by `scripts/docs`. The [README](../README.md) has a sample, the
[options](options.md) are those of the command line, and [plugins.md](plugins.md) tells how the contracts are used.

"""


def main() -> int:
    """Writes the page, or compares it."""
    made = "".join(_page())
    if "--check" in sys.argv:
        return int(PAGE.read_text(encoding="utf-8") != made)
    PAGE.write_text(made, encoding="utf-8")
    return 0


def _page() -> Iterator[str]:
    public = {name: getattr(faceloom, name) for name in faceloom.__all__}
    tree = griffe.load(
        "faceloom", search_paths=[ROOT / "src"], docstring_parser="google", docstring_options=_ONE_ANSWER
    )
    functions = {name: value for name, value in public.items() if inspect.isfunction(value)}
    classes = {name: value for name, value in public.items() if inspect.isclass(value)}
    errors = {name: value for name, value in classes.items() if issubclass(value, Exception)}
    yield INTRODUCTION
    yield "`faceloom.__version__` is the version as text.\n\n"
    yield from _section("Functions", (_function(tree, value) for value in functions.values()))
    yield from _section("Values", (_class(tree, value) for name, value in classes.items() if name not in errors))
    yield from _section(
        "What a run tells while it goes on: `faceloom.events`", _classes(tree, "faceloom.events", EVENTS)
    )
    yield from _section("Errors", (_class(tree, value) for value in errors.values()))
    contracts = (text for home, names in CONTRACTS.items() for text in _classes(tree, home, names))
    yield from _section("Contracts of plugins", contracts, is_last=True)


def _section(title: str, parts: Iterator[str], *, is_last: bool = False) -> Iterator[str]:
    yield f"## {title}\n\n"
    yield "\n\n".join(part.strip() for part in parts)
    yield "\n" if is_last else "\n\n"


def _classes(tree: Any, home: str, names: tuple[str, ...]) -> Iterator[str]:
    return (_class(tree, getattr(importlib.import_module(home), name)) for name in names)


def _function(tree: Any, function: Callable[..., Any]) -> str:
    """A function with the signature and the docstring that `help` shows."""
    written = tree[function.__module__.removeprefix("faceloom.")][function.__name__]
    parameters = inspect.signature(function).parameters.values()
    shown = griffe.Function(
        function.__name__,
        parameters=griffe.Parameters(*(_parameter(one, written.parameters) for one in parameters)),
        returns=str(written.returns),
    )
    text = inspect.getdoc(function) or ""
    shown.docstring = griffe.Docstring(text, parser="google", parser_options=_ONE_ANSWER, parent=shown)
    return _rendered(shown)


def _parameter(parameter: inspect.Parameter, written: griffe.Parameters) -> griffe.Parameter:
    """A parameter as it is written, with the names that types have there; or, if it is declared elsewhere, as it is."""
    kind = griffe.ParameterKind(parameter.kind.description)
    if parameter.name in written:
        own = written[parameter.name]
        default = "..." if "lambda" in str(own.default) else own.default
        return griffe.Parameter(parameter.name, annotation=str(own.annotation), kind=kind, default=default)
    annotation = re.sub(r"\b(?:\w+\.)+(?=\w)", "", inspect.formatannotation(parameter.annotation))
    return griffe.Parameter(parameter.name, annotation=annotation, kind=kind, default=repr(parameter.default))


def _class(tree: Any, of: type) -> str:
    """A class with its methods and all fields, those of the tables that it extends among them."""
    shown = tree[of.__module__.removeprefix("faceloom.")][of.__name__]
    fields = {name: field for one in _with_bases(tree, of) for name, field in one.attributes.items()}
    told = [
        griffe.DocstringAttribute(name, annotation=field.annotation, description=_told(field), value=None)
        for name, field in fields.items()
        if not name.startswith("_") and (field.docstring or not issubclass(of, Exception))
    ]
    if told and shown.docstring:
        shown.docstring.parsed.append(griffe.DocstringSectionAttributes(told))
    methods = [name for name, method in shown.functions.items() if not name.startswith("_") and method.docstring]
    return _rendered(shown, members=methods or False)


def _with_bases(tree: Any, of: type) -> Iterator[Any]:
    for base in getattr(of, "__orig_bases__", ()):
        if getattr(base, "__module__", "").startswith("faceloom."):
            yield from _with_bases(tree, base)
    yield tree[of.__module__.removeprefix("faceloom.")][of.__name__]


def _told(field: Any) -> str:
    return " ".join(field.docstring.value.split()) if field.docstring else ""


def _rendered(shown: Any, *, members: Any = None) -> str:
    text = griffe2md.render_object_docs(shown, {**CONFIG, "members": members}, format_md=True)
    text = re.sub(r"\[(\*\*\w+\*\*|[^\[\]]+)\]\(#[^)]*\)", r"\1", text)  # no page has such places
    text = re.sub(r"<code>(.*?)</code>", lambda found: f"`{found[1].replace(chr(92), '')}`", text)
    text = re.sub(" \N{EN DASH} *$", "", text, flags=re.MULTILINE)
    return re.sub(r"(?<=```python\n).*?(?=\n```)", lambda found: _wrapped(found[0]), text, flags=re.DOTALL)


def _wrapped(signature: str) -> str:
    """A signature on several lines, if it is long."""
    code = f"def {signature}: ..."
    command = [sys.executable, "-m", "ruff", "format", "--quiet", "--isolated", "--line-length", "110", "-"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, check=False)
    formatted = done.stdout.strip() if done.returncode == 0 else code
    return formatted.removeprefix("def ").removesuffix(": ...")


if __name__ == "__main__":
    sys.exit(main())
