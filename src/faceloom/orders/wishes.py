"""What a plan is held to, as options ask for it."""

from collections.abc import Mapping, Sequence

from faceloom.choices import Passes
from faceloom.errors import RequestError
from faceloom.flow import Flow
from faceloom.options.machine import WishOptions
from faceloom.options.written_values import with_commas
from faceloom.solver.problem import StageCost
from faceloom.solver.wishes import BatchWish, Wishes
from faceloom.stage import NetworkPlugin
from faceloom.suggestions import or_else


def wishes_for_flow(options: WishOptions, flow: Flow) -> Wishes:
    """The wishes of a job, whose stages may be named by their kinds too.

    Raises:
        RequestError: one names no stage, lays a stage in no pass or in two, or before one that it needs; or a batch is
            no number, or more than a network takes.
    """
    networks = {stage.name: flow.needs(stage) for stage in flow.networks}
    wishes = _wishes(options, networks, [stage.name for stage in flow.stages])
    for stage in flow.networks:
        most = stage.plugin.max_batch if isinstance(stage.plugin, NetworkPlugin) else 0
        wish = wishes.batches.get(stage.name)
        if wish and wish.is_forced and 0 < most < wish.batch:
            raise RequestError(f"{stage.name} takes {most} at once at most, not {wish.batch}")
    return wishes


def wishes_for_problem(options: WishOptions, stages: Sequence[StageCost]) -> Wishes:
    """The wishes for a problem that is given as numbers.

    Raises:
        RequestError: as `wishes_for_flow`.
    """
    return _wishes(options, {stage.stage: stage.needs for stage in stages}, [stage.stage for stage in stages])


def _wishes(options: WishOptions, networks: Mapping[str, frozenset[str]], names: Sequence[str]) -> Wishes:
    phases, laid = _phases(options, networks, names)
    return Wishes(
        batches=_batches(options["batch"], networks, names),
        phases=phases,
        laid=laid,
        tries_anyway=options["try_anyway"],
    )


def _batches(
    told: Mapping[str, int | str], networks: Mapping[str, frozenset[str]], names: Sequence[str]
) -> dict[str, BatchWish]:
    wishes: dict[str, BatchWish] = {}
    for name in sorted(told, key=lambda name: "/" in name):  # what is said of a stage counts more than of its kind
        chosen = [stage for stage in _named(name, names) if stage in networks]
        if not chosen:
            raise RequestError(f"{name} runs no network, so it takes no batch")
        wishes |= dict.fromkeys(chosen, _batch(name, told[name]))
    return wishes


def _batch(name: str, told: int | str) -> BatchWish:
    text = str(told)
    digits = text.removesuffix("!")
    if not digits.isascii() or not digits.isdecimal() or not int(digits):
        raise RequestError(f"the batch of {name} is {text!r}, but has to be a whole number from 1, as in 4 or 4!")
    return BatchWish(batch=int(digits), is_forced=text.endswith("!"))


def _phases(
    options: WishOptions, networks: Mapping[str, frozenset[str]], names: Sequence[str]
) -> tuple[tuple[frozenset[str], ...], str]:
    """The stages of each phase, and how that was asked for; nothing where the plan is free to lay them."""
    passes, by_hand = Passes(options["passes"]), options["pass_"]
    if by_hand and passes is not Passes.AUTO:
        raise RequestError("passes are laid by hand (--pass), or all in one way (--passes): ask for one of the two")
    if by_hand:
        laid = [frozenset(stage for name in with_commas(one) for stage in _named(name, names)) for one in by_hand]
        _require_order(laid, networks)
        phases = tuple(chosen for one in laid if (chosen := one & networks.keys()))
        return phases, " ".join(f"--pass {one}" for one in by_hand)
    if passes is Passes.AUTO or not networks:
        return (), ""
    together = passes is Passes.TOGETHER
    phases = (frozenset(networks),) if together else tuple(frozenset({name}) for name in networks)
    return phases, f"--passes {passes}"


def _named(name: str, names: Sequence[str]) -> list[str]:
    """The stages that a name means: one, or all of a kind."""
    name = name.strip()
    found = [stage for stage in names if name in {stage, stage.partition("/")[0]}]
    if not found:
        raise RequestError(f"there is no stage {name!r}; {or_else(name, names)}")
    return found


def _require_order(laid: Sequence[frozenset[str]], networks: Mapping[str, frozenset[str]]) -> None:
    places = {stage: [number for number, one in enumerate(laid, start=1) if stage in one] for stage in networks}
    for stage, numbers in places.items():
        if len(numbers) != 1:
            where = f"passes {', '.join(map(str, numbers))}" if numbers else "no pass"
            raise RequestError(f"{stage} is in {where}; lay every stage that runs a network in one (--pass)")
    for stage, needs in networks.items():
        for other in sorted(needs & networks.keys()):
            if places[other] > places[stage]:
                raise RequestError(
                    f"{stage} is in pass {places[stage][0]} and needs {other}, which comes later, in {places[other][0]}"
                )
