"""The flow of a job: its stages in order, and the registry that turns names into plugins.

A plugin is found by its kind and its file's name (`detect/yunet` is `faceloom/detect/yunet.py`), or by an
entry point of that name in the group `faceloom.stages`. Nothing is imported before it is asked for. A file without a
plugin class is no plugin.
"""

import importlib
import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from faceloom.align import Aligner
from faceloom.detect import Detector
from faceloom.discovery import load, modules_of, no_such, offered
from faceloom.errors import RequestError
from faceloom.identify import Identifier
from faceloom.mask import LandmarkMask, NetworkMask
from faceloom.stage import NetworkPlugin, PinnedFile, Plugin, Stage

KINDS = ("detect", "align", "mask", "identify")
ENTRY_POINTS = "faceloom.stages"
_CONTRACTS = (Detector, Aligner, NetworkMask, LandmarkMask, Identifier)


def plugin_names(kind: str) -> list[str]:
    """Every plugin of a kind, our own and installed ones, sorted; our own modules of that kind are imported."""
    own = {module for module in modules_of(f"faceloom.{kind}") if _own_plugin(kind, module)}
    others = {name.partition("/")[2] for name in offered(ENTRY_POINTS) if name.startswith(f"{kind}/")}
    return sorted(own | others)


def find_plugin(kind: str, name: str) -> type[Plugin]:
    """The class of a plugin; an installed one comes before one of ours that has the same name.

    Raises:
        RequestError: nobody provides it, or what is provided keeps no contract of that kind.
    """
    point = offered(ENTRY_POINTS).get(f"{kind}/{name}")
    plugin = load(point) if point else _own_plugin(kind, name)
    if plugin is None:
        raise no_such(f"{kind} plugin", name, plugin_names(kind), see=" (see faceloom models)")
    if not (isinstance(plugin, type) and issubclass(plugin, _CONTRACTS) and plugin.kind == kind):
        raise RequestError(f"{kind}/{name} is {plugin!r}, which is no {kind} plugin (see docs/plugins.md)")
    return plugin


def _own_plugin(kind: str, name: str) -> type[Plugin] | None:
    """The one plugin class that the file itself defines; None where there is no such file, or no class in it."""
    if name not in modules_of(f"faceloom.{kind}"):
        return None
    module = importlib.import_module(f"faceloom.{kind}.{name}")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Plugin) and value.__module__ == module.__name__
    ]
    plugins = [plugin for plugin in found if not inspect.isabstract(plugin)]
    if len(plugins) > 1:
        names = ", ".join(plugin.__name__ for plugin in plugins)
        raise RequestError(f"faceloom/{kind}/{name}.py has {len(plugins)} plugins ({names}); a file has one")
    return plugins[0] if plugins else None


@dataclass(frozen=True, slots=True)
class Flow:
    """The stages of a job, each after everything it needs."""

    stages: tuple[Stage, ...]

    @property
    def networks(self) -> tuple[Stage, ...]:
        """The stages that run a network; the others cost nothing."""
        return tuple(stage for stage in self.stages if isinstance(stage.plugin, NetworkPlugin))

    def of(self, kind: str) -> tuple[Stage, ...]:
        """The stages of a kind."""
        return tuple(stage for stage in self.stages if stage.plugin.kind == kind)

    def needs(self, stage: Stage) -> frozenset[str]:
        """Names of the stages whose answers this one reads."""
        return frozenset(other.name for other in self.stages if other.plugin.writes & stage.plugin.reads)

    def part(self, names: Collection[str]) -> "Flow":
        """The stages of these names."""
        return Flow(tuple(stage for stage in self.stages if stage.name in names))

    @property
    def detect_every(self) -> int:
        """Of every so many frames of a video the detector looks at the first."""
        return max(
            (one.plugin.detect_every for one in self.of("detect") if isinstance(one.plugin, Detector)), default=1
        )

    @property
    def is_in_order(self) -> bool:
        """Whether frames have to come one after the other, since faces are followed from one to the next."""
        return self.detect_every > 1

    @property
    def digests(self) -> dict[str, str]:
        """sha256 of the weights of each stage that has some, by stage name."""
        return {stage.name: stage.weights.sha256 for stage in self.stages if stage.weights}

    def describe(self) -> dict[str, Any]:
        """Every stage with its options and the content of its weights: what results depend on."""
        return {
            stage.name: {
                **stage.plugin.configuration,
                "weights": self.digests.get(stage.name),
            }
            for stage in self.stages
        }


def build_flow(
    names: Sequence[str],
    options: Mapping[str, Mapping[str, Any]] | None = None,
    weights: Mapping[str, PinnedFile] | None = None,
    *,
    known: frozenset[str] = frozenset(),
) -> Flow:
    """The flow of stages such as `detect/yunet`, in any order, with the options of their plugins by stage name.

    `weights` are the user's own files, by stage name. `known` is what faces come with, in a flow that finds none:
    boxes, and landmarks where all or some have them.

    Raises:
        RequestError: an unknown plugin or option, a stage named twice, or one that reads what no stage writes.
    """
    chosen, own = options or {}, weights or {}
    stages = [
        Stage(name=name, plugin=_plugin(name, chosen.get(name, {})), own_weights=own.get(name))
        for name in dict.fromkeys(names)
    ]
    for stage in stages:
        if stage.weights and not stage.weights.sha256:
            raise RequestError(f"{stage.name} has no weights of its own; name a file with --weights {stage.name}=FILE")
    ordered: list[Stage] = []
    written = {"frames", *known}
    while stages:
        ready = [stage for stage in stages if stage.plugin.reads <= written]
        if not ready:
            stage = stages[0]
            missing = ", ".join(sorted(stage.plugin.reads - written))
            raise RequestError(f"{stage.name} reads {missing}, which no stage of this flow writes; add one that does")
        ordered += ready
        written |= {noun for stage in ready for noun in stage.plugin.writes}
        stages = [stage for stage in stages if stage not in ready]
    return Flow(tuple(ordered))


def _plugin(name: str, options: Mapping[str, Any]) -> Plugin:
    kind, _, plugin_name = name.partition("/")
    if kind not in KINDS:
        raise RequestError(
            f"{name!r} is no stage; a stage is a kind ({', '.join(KINDS)}) and a plugin, as in detect/yunet"
        )
    plugin = find_plugin(kind, plugin_name)
    known = {field.name for field in fields(plugin)}  # type: ignore[arg-type]  # every plugin is a dataclass
    unknown = sorted(set(options) - known)
    if unknown:
        raise RequestError(f"{name} has no option {unknown[0]!r}; it has: {', '.join(sorted(known)) or 'none'}")
    usual = plugin()
    told = {option: _like(getattr(usual, option), value, f"{name}.{option}") for option, value in options.items()}
    try:
        return plugin(**told)
    except ValueError as error:
        raise RequestError(f"{name} cannot run like that: {error}") from error


def _like(usual: Any, value: Any, option: str) -> Any:
    """A value for an option that usually is another: a number, a truth, a text, or so many numbers.

    Raises:
        RequestError: it is of another kind.
    """
    if isinstance(usual, tuple) and isinstance(value, list | tuple):
        return tuple(value)
    if isinstance(usual, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(usual):
        raise RequestError(f"{option} cannot be {value!r}; it is like {usual!r}")
    return value
