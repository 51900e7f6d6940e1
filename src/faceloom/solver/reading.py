"""Problems read from JSON, every field checked (docs/memory.md)."""

import json
import re
from collections.abc import Collection
from typing import Any

from faceloom.errors import RequestError
from faceloom.solver.problem import LARGEST, Arena, Host, HostCost, HostShare, Problem, StageCost, in_order

MOST_BATCHES = 2**16
"""The largest `max_batch` of a stage whose seconds are given as a formula, and so written out for every batch."""


def read_problem(text: str) -> Problem:
    """Reads a problem from a JSON text.

    Raises:
        RequestError: the text is not JSON, or not a problem; the message names the field.
    """
    try:
        value = json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the problem is not JSON: {error}") from error
    fields = _fields(value, _PROBLEM_FIELDS, "the problem", optional=("host",))
    problem = Problem(
        frames=_whole(fields["frames"], "frames"),
        budget_bytes=_whole(fields["budget_bytes"], "budget_bytes"),
        base_bytes=_whole(fields["base_bytes"], "base_bytes"),
        arena=_arena(fields["arena"]),
        overlap=_flag(fields["overlap"], "overlap"),
        decode_s=_number(fields["decode_s"], "decode_s"),
        patch_read_s=_number(fields["patch_read_s"], "patch_read_s"),
        patch_write_s=_number(fields["patch_write_s"], "patch_write_s"),
        switch_s=_number(fields["switch_s"], "switch_s"),
        stages=_stages(fields["stages"]),
        host=_host(fields["host"]) if "host" in fields else None,
    )
    in_order(problem.stages)
    _check_host(problem)
    return problem


_PROBLEM_FIELDS = (
    "frames",
    "budget_bytes",
    "base_bytes",
    "arena",
    "overlap",
    "decode_s",
    "patch_read_s",
    "patch_write_s",
    "switch_s",
    "stages",
)
_STAGE_FIELDS = (
    "stage",
    "needs",
    "reads_frames",
    "weights_bytes",
    "load_spike",
    "load_s",
    "fixed_bytes",
    "item_bytes",
    "items_per_frame",
    "batch_s",
    "max_batch",
)
_HOST_FIELDS = ("budget_bytes", "base_bytes")
_SHARE_FIELDS = ("weights_bytes", "fixed_bytes", "item_bytes")
_HOST_COST_FIELDS = (
    "weights_bytes",
    "load_spike",
    "load_s",
    "fixed_bytes",
    "item_bytes",
    "batch_s",
    "max_batch",
)
_FORMULA_FIELDS = ("call_s", "item_s")
_BATCH = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


def _stages(value: object) -> tuple[StageCost, ...]:
    stages = tuple(_stage(item, f"stages[{i}]") for i, item in enumerate(_items(value, "stages")))
    if not stages:
        raise RequestError("stages is empty; a problem has at least one stage")
    names = [stage.stage for stage in stages]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise RequestError(f"stages[{i}].stage is {name!r}, as is an earlier one; every stage has its own name")
    return stages


def _stage(value: object, where: str) -> StageCost:
    fields = _fields(value, _STAGE_FIELDS, where, optional=("host", "on_host"))
    needs = _items(fields["needs"], f"{where}.needs")
    return StageCost(
        stage=_text(fields["stage"], f"{where}.stage"),
        needs=frozenset(_text(name, f"{where}.needs[{i}]") for i, name in enumerate(needs)),
        reads_frames=_flag(fields["reads_frames"], f"{where}.reads_frames"),
        weights_bytes=_whole(fields["weights_bytes"], f"{where}.weights_bytes"),
        load_spike=_number(fields["load_spike"], f"{where}.load_spike"),
        load_s=_number(fields["load_s"], f"{where}.load_s"),
        fixed_bytes=_whole(fields["fixed_bytes"], f"{where}.fixed_bytes"),
        item_bytes=_whole(fields["item_bytes"], f"{where}.item_bytes"),
        items_per_frame=_number(fields["items_per_frame"], f"{where}.items_per_frame"),
        batch_s=_batch_s(fields["batch_s"], fields["max_batch"], where),
        host=_share(fields["host"], f"{where}.host") if "host" in fields else HostShare(),
        on_host=_host_cost(fields["on_host"], f"{where}.on_host") if "on_host" in fields else None,
    )


def _host(value: object) -> Host:
    fields = _fields(value, _HOST_FIELDS, "host")
    return Host(**{name: _whole(fields[name], f"host.{name}") for name in _HOST_FIELDS})


def _share(value: object, where: str) -> HostShare:
    fields = _fields(value, _SHARE_FIELDS, where, optional=("item_s",))
    sizes = {name: _whole(fields[name], f"{where}.{name}") for name in _SHARE_FIELDS}
    return HostShare(**sizes, item_s=_number(fields.get("item_s", 0.0), f"{where}.item_s"))


def _host_cost(value: object, where: str) -> HostCost:
    fields = _fields(value, _HOST_COST_FIELDS, where)
    return HostCost(
        weights_bytes=_whole(fields["weights_bytes"], f"{where}.weights_bytes"),
        load_spike=_number(fields["load_spike"], f"{where}.load_spike"),
        load_s=_number(fields["load_s"], f"{where}.load_s"),
        fixed_bytes=_whole(fields["fixed_bytes"], f"{where}.fixed_bytes"),
        item_bytes=_whole(fields["item_bytes"], f"{where}.item_bytes"),
        batch_s=_batch_s(fields["batch_s"], fields["max_batch"], where),
    )


def _check_host(problem: Problem) -> None:
    """Checks that there is a host if a stage mentions one, and that the arenas are shared if there is one."""
    if problem.host is None:
        for i, stage in enumerate(problem.stages):
            if stage.on_host or stage.host != HostShare():
                raise RequestError(f"stages[{i}] speaks of the host, but the problem has no 'host' with its budget")
    elif problem.arena is not Arena.SHARED:
        raise RequestError(f"arena is {problem.arena.value!r}; with a 'host' it has to be {Arena.SHARED.value!r}")


def _batch_s(value: object, max_batch: object, where: str) -> dict[int, float]:
    """Reads the seconds of a call for every batch, from a table or from the formula call + item x batch."""
    most = _whole(max_batch, f"{where}.max_batch")
    name = f"{where}.batch_s"
    if isinstance(value, dict) and value.keys() & {*_FORMULA_FIELDS}:
        fields = _fields(value, _FORMULA_FIELDS, name)
        call_s, item_s = (_number(fields[field], f"{name}.{field}") for field in _FORMULA_FIELDS)
        if most > MOST_BATCHES:
            raise RequestError(f"{where}.max_batch is {most}; with a formula it can be {MOST_BATCHES} at most")
        seconds = {batch: call_s + item_s * batch for batch in range(1, most + 1)}
    else:
        seconds = {batch: s for batch, s in sorted(_table(value, name).items()) if batch <= most}
    if not seconds:
        raise RequestError(f"{name} offers no batch up to max_batch {most}")
    return seconds


def _table(value: object, where: str) -> dict[int, float]:
    if not isinstance(value, dict):
        raise _wrong(value, where, 'a table such as {"1": 0.02} or {"call_s": 0.01, "item_s": 0.01}')
    for batch in value:
        if not _BATCH.fullmatch(batch):
            raise RequestError(f"{where} has the batch {batch!r}; batches are whole numbers from 1")
    return {int(batch): _number(seconds, f"{where}.{batch}") for batch, seconds in value.items()}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object none of whose fields stands in it twice."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        raise RequestError(f"{next(name for name in fields if names.count(name) > 1)!r} stands twice in one object")
    return fields


def _fields(value: object, names: Collection[str], where: str, *, optional: Collection[str] = ()) -> dict[str, object]:
    """The fields of an object that has exactly these, and perhaps the optional ones."""
    if not isinstance(value, dict):
        raise _wrong(value, where, f"an object with {', '.join(names)}")
    if missing := [name for name in names if name not in value]:
        raise RequestError(f"{where} has no {missing[0]!r}; it has to have {', '.join(names)}")
    if extra := [name for name in value if name not in names and name not in optional]:
        known = ", ".join((*names, *optional))
        raise RequestError(f"{where} has {extra[0]!r}, which means nothing; it can have {known}")
    return value


def _items(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise _wrong(value, where, "a list")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise _wrong(value, where, "a name")
    return value


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(value, where, "true or false")
    return value


def _arena(value: object) -> Arena:
    if not isinstance(value, str) or value not in {*Arena}:
        raise _wrong(value, "arena", " or ".join(Arena))
    return Arena(value)


def _whole(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST:
        raise _wrong(value, where, "a whole number from 0 to 2**63 - 1")
    return value


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST:
        raise _wrong(value, where, "a number from 0 to 2**63 - 1")
    return float(value)


def _wrong(value: object, where: str, wanted: str) -> RequestError:
    shown = {dict: "an object", list: "a list", type(None): "null"}.get(type(value)) or repr(value)
    return RequestError(f"{where} is {shown[:80]}; it has to be {wanted}")
