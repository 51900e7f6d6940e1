"""Writes docs/options.md from the tables of options: `python tools/make_options_page.py`."""

from collections.abc import Iterator
from pathlib import Path

from faceloom.cli.listing import every_command
from faceloom.options import calls
from faceloom.options.declared import Declared, Form, declared

PAGE = Path(__file__).parents[1] / "docs" / "options.md"
_KEYWORDS = [one for name, table in vars(calls).items() if name.endswith("Options") for one in declared(table).values()]
"""What the library takes; the other options are for the command line alone."""
_HEAD = """\
# Options

Every flag of every command, every key of `faceloom.toml` and every keyword of the library is declared once, in
`src/faceloom/options`; this page is made of the same declarations (`python tools/make_options_page.py`).

## In a file

Every flag of every command can stand in `faceloom.toml` in the current folder, or in the file that `--config` names:

```toml
memory = "2GiB"             # before all tables: for every command that has such a flag

[extract]                   # a table for each command
out = "faces"
detect = "centerface"
min-score = 0.7             # or min_score: a key is the flag without its dashes
mask = ["unet", "extended"] # a flag that can be repeated, or takes several values, is a list
no-chips = true             # a flag without a value is true or false
```

Then `faceloom extract holiday` is enough. A flag on the command line wins over the file, and a list on the command line
takes the place of the file's list; a table wins over what stands before all tables. Values are checked as flags are. A
key or a table that there is not ends the command before anything is done, with exit code 2 and the nearest name.

## In Python

`faceloom.extract("holiday", "faces", detect="centerface", min_score=0.7, mask="unet", chips=False)`: a keyword is the
flag's name with underscores, but where the table says otherwise. What can be repeated is a list, or one value;
`"none"` means what it means on the command line. What is true if nobody says is denied by `False`, as in
`chips=False`. A keyword that there is not is a `TypeError` that names the nearest one. The library reads no file.

## Sizes of memory

`800MiB`, `2GiB`, `1.5g`; `MB` is a million bytes. A number without a unit is bytes, and refused below 1 MiB.

## Errors

An error is one line on stderr, below the usage of the command at fault where that is what is wrong. With `--json` it is
also one document on stdout, `{"error": {"kind": "BudgetError", "message": "...", "exit": 3}}`; the kind is the name of
what the library raises.

| exit code | kind | what |
| --- | --- | --- |
| 0 | | done |
| 1 | | done, but some items failed; they are listed |
| 2 | `RequestError` | the request is wrong |
| 3 | `BudgetError` | this machine, or the budget, cannot |
| 4 | `MediaError` | no input could be read |
| 5 | `WeightsError` | weights are missing, or are not what they should be |
| 6 | `StageError` | a stage failed |
| 7 | `StoreError` | the result folder cannot be used |
| 70 | the name of the exception | a bug, of which a report is written: versions, options, traceback, no picture |
| 130, 143 | `Interrupted` | Ctrl-C, SIGTERM; the same command goes on |

## All of them

"""


def page() -> str:
    """The whole page."""
    return _HEAD + "\n".join(_lines())


def _lines() -> Iterator[str]:
    for title, rows in _groups().items():
        yield f"### {title}\n"
        yield "| flag and key | in Python | what | default | of |"
        yield "| --- | --- | --- | --- | --- |"
        yield from rows
        yield ""


def _groups() -> dict[str, list[str]]:
    """The rows of each group; an option that is not the same for all who have it has several."""
    tables = {command.name: command.declared for command in every_command()}
    tables |= {
        "stream()": declared(calls.StreamOptions),
        "passes()": declared(calls.PassesOptions),
        "chip()": declared(calls.ChipCutOptions),
    }
    users: dict[tuple[str, str], list[str]] = {}
    for user, options in tables.items():
        for one in options.values():
            users.setdefault((one.option.group or "Of single commands", _row(one)), []).append(user)
    groups: dict[str, list[str]] = {}
    for (title, row), names in users.items():
        groups.setdefault(title, []).append(f"{row} {_of(names)} |")
    return groups


def _row(one: Declared) -> str:
    """All but who has it."""
    option = one.option
    unit = "" if one.kind is Form.TRUTH else f" {option.unit or 'NAME'}"
    words = ", ".join(f"`{word}`" for word in option.among)
    what = "; ".join(part for part in (option.help, words, str(option.within or "")) if part)
    default = f"`{option.default}`" if one.kind is Form.TRUTH else one.default_in_words
    cells = (f"`--{one.flag}{unit}`", f"`{one.name}`" if one in _KEYWORDS else "", what, default)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _of(users: list[str]) -> str:
    return "all" if {command.name for command in every_command()} <= set(users) else ", ".join(users)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
