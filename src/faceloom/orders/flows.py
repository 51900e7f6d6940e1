"""Which stages options ask for, and what their plugins are told."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from faceloom.align import Aligner
from faceloom.choices import Filter
from faceloom.errors import RequestError, WeightsError
from faceloom.flow import Flow, build_flow, find_plugin
from faceloom.geometry.turning import parse_turns, steps
from faceloom.models.weights import CONVERTED, WeightCache, own_file
from faceloom.options.calls import ExtendOptions
from faceloom.options.declared import declared, filled
from faceloom.options.stages import AlignerOptions, DetectorOptions, FlowOptions, PathLike
from faceloom.pipeline.filters import parse_filters
from faceloom.stage import NetworkPlugin, PinnedFile
from faceloom.store.persons import without_embeddings

IMPORT = "import"
"""In place of a detector's name: faces are known from a file."""
KNOWN = frozenset({"boxes", "landmarks"})
"""What the faces of a result folder come with."""
_BY_SIGNS, _QUARTER_DEG = "auto", 90.0
"""Of turned looks: by quarters, where there are signs that a face is turned."""
_OF_DETECTORS = ("detect_every", "detect_size", "enlarge", "min_score", "rotate", "tiles")
_ATTRIBUTES: Mapping[str, str] = {"iris": "irises", "blendshapes": "blendshapes"}
"""What may be asked of faces besides, and the option of an aligner that tells it."""
_RECOGNISING = frozenset({"detect", "align", "identify"})
_UNNEEDED = frozenset({"weights", "filters", "irises", "blendshapes"})
"""Of what stages of a folder were told, what has nothing to do with whose faces are."""
_OF_ALIGNERS = ("normalize", "refeed", "realign")


def make_flow(given: Mapping[str, Any]) -> Flow:
    """The flow that options ask for, of which those of `FlowOptions` count; what is left out has its default.

    Raises:
        RequestError: an unknown plugin or a value out of range.
    """
    options = filled(FlowOptions, given)
    imports = options["detect"] == IMPORT
    aligned = options["aligned"]
    names = _stage_names(options)
    own = own_weights(options["weights"], names)
    told = _with_masks(options_of_plugins(names, own, options["settings"]), _masks(options), options["soft_edges"])
    aligners = _aligners(options)
    if any("filters" in told[stage] for stage in aligners):
        raise RequestError("filters are no setting of a plugin; ask for --filter NAME, or filter=[NAME] in Python")
    of_all = _align_options(options)
    asked: dict[str, Mapping[str, Any]] = {stage: {**of_all, **_attributes(stage, options)} for stage in aligners}
    for name in options["attributes"]:
        if not any(_ATTRIBUTES[name] in told_of_it for told_of_it in asked.values()):
            what = f"{_ATTRIBUTES[name]} are told by the aligner facemesh_v2"
            raise RequestError(f"{what}, and it is not asked; add --align facemesh_v2")
    if aligned:
        _refuse_any_detector(options)
    if imports:
        _refuse_options_of_detectors(options)
    elif options["from_"] is not None or options["from_format"] is not None:
        raise RequestError("a file that tells of faces (--from) is for --detect import")
    elif not aligned:
        asked[f"detect/{options['detect']}"] = _detect_options(options)
    plugins = {stage: {**told[stage], **asked.get(stage, {})} for stage in names}
    if imports or aligned:
        return build_flow(names, plugins, own, known=frozenset({"boxes"}) if aligners else KNOWN)
    return build_flow(names, plugins, own)


def _stage_names(options: FlowOptions) -> list[str]:
    aligners, identify = _aligners(options), options["identify"]
    has_detector = options["detect"] != IMPORT and not options["aligned"]
    return [
        *([f"detect/{options['detect']}"] if has_detector else []),
        *aligners,
        *(f"mask/{mask}" for mask in parts_of_masks(_masks(options))),
        *([f"identify/{identify}"] if identify else []),
    ]


def _masks(options: FlowOptions) -> Sequence[str]:
    """Masks as they are asked for, as a rule those that cost nothing."""
    if options["mask"] is not None:
        return options["mask"]
    has_detector = options["detect"] != IMPORT and not options["aligned"]
    return ("components", "extended") if options["align"] or not has_detector else ()


def parts_of_masks(asked: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Of masks such as `unet` and `bisenet:hair` the plugins, each with the parts that get masks of their own."""
    parts: dict[str, dict[str, None]] = {}
    for name in asked:
        plugin, colon, part = name.partition(":")
        parts.setdefault(plugin, {})[part if colon else ""] = None
    return {name: () if list(ones) == [""] else tuple(one or "face" for one in ones) for name, ones in parts.items()}


def _with_masks(told: Mapping[str, dict[str, Any]], masks: Sequence[str], soft: float) -> dict[str, dict[str, Any]]:
    """What plugins are told, with what masks are besides: their parts, and how soft their edges are."""
    found = dict(told)
    for name, parts in parts_of_masks(masks).items():
        stage = f"mask/{name}"
        if parts and "parts" not in {field.name for field in fields(find_plugin("mask", name))}:  # type: ignore[arg-type]
            raise RequestError(f"{stage} makes one mask and has no parts such as {parts[-1]!r}; ask for --mask {name}")
        found[stage] = {**({"parts": parts} if parts else {}), **({"soft": soft} if soft else {}), **found[stage]}
    return found


def _aligners(options: AlignerOptions) -> list[str]:
    """Names of the stages, each once."""
    return [f"align/{name}" for name in dict.fromkeys(options["align"] or ())]


def added_flow(options: ExtendOptions) -> Flow:
    """The stages that are to be added to a result folder.

    Raises:
        RequestError: an unknown plugin, or nothing to add.
    """
    identify = options["identify"]
    masks = parts_of_masks(options["mask"])
    names = [*(f"mask/{name}" for name in masks), *([f"identify/{identify}"] if identify else [])]
    if not names:
        raise RequestError("name what to add: --mask NAME or --identify NAME")
    own = own_weights(options["weights"], names)
    told = _with_masks(options_of_plugins(names, own, options["settings"]), options["mask"], options["soft_edges"])
    return build_flow(names, told, own, known=KNOWN)


def recognising_flow(stages: Mapping[str, Mapping[str, Any]], weights: Mapping[str, PathLike], *, folder: Path) -> Flow:
    """Of the stages of a result folder those that find, align and identify faces, without filters.

    Faces that it finds in other pictures are compared with those of the folder. Where the folder has no detector or
    aligner, since its faces came from a file, it is the usual one.

    Args:
        stages: of the folder's configuration.
        weights: the user's own files, by stage.
        folder: for messages.

    Raises:
        RequestError: the folder has no embeddings, or they were made with other weights.
    """
    names = [name for name in stages if name.partition("/")[0] in _RECOGNISING]
    usual = {"detect": "detect/yunet", "align": "align/facemesh"}
    names += [stage for kind, stage in usual.items() if not any(name.startswith(f"{kind}/") for name in names)]
    identifier = next((name for name in names if name.startswith("identify/")), None)
    if identifier is None:
        raise without_embeddings(folder)
    own = own_weights(weights, names)
    told = options_of_plugins(names, own, {})
    for name in names:
        kept = {key: value for key, value in stages.get(name, {}).items() if key not in _UNNEEDED}
        told[name] = {**told[name], **kept}
    flow = build_flow(names, told, own)
    made_with = stages[identifier].get("weights")
    if flow.digests.get(identifier) != made_with:
        raise RequestError(
            f"the embeddings of {folder} were made by {identifier} with other weights, of sha256 {str(made_with)[:12]};"
            f" name that file with --weights {identifier}=FILE"
        )
    return flow


def landmark_masks(stages: Mapping[str, Mapping[str, Any]]) -> Flow:
    """Of the stages of a result folder the masks that need no network, with their options."""
    names = [name for name, told in stages.items() if name.startswith("mask/") and not told.get("weights")]
    options = {name: {key: value for key, value in stages[name].items() if key != "weights"} for name in names}
    return build_flow(names, options, known=KNOWN)


def options_of_plugins(
    names: Sequence[str], own: Mapping[str, PinnedFile], settings: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """What the user's own files and settings say of the plugins of stages."""
    for stage in settings.keys() - set(names):
        raise RequestError(f"options are set for {stage!r}, which is no stage of this flow; it has: {', '.join(names)}")
    told = {stage: _options_of_weights(stage, file) for stage, file in own.items()}
    return {stage: {**told.get(stage, {}), **settings.get(stage, {})} for stage in names}


def _refuse_any_detector(options: FlowOptions) -> None:
    for name in _given(options, ("detect", "from_", "from_format", *_OF_DETECTORS)):
        raise RequestError(f"{name} is for faces that are looked for, and with --aligned pictures are faces already")


def _refuse_options_of_detectors(options: FlowOptions) -> None:
    if options["from_"] is None:
        raise RequestError("--detect import takes faces from a file; name it with --from")
    for name in _given(options, _OF_DETECTORS):
        raise RequestError(f"{name} is for a detector, and with --detect import there is none")


def own_weights(paths: Mapping[str, PathLike], names: Sequence[str]) -> dict[str, PinnedFile]:
    """The user's own weight files by stage."""
    files = {}
    for stage, path in paths.items():
        if stage not in names:
            message = f"weights are named for {stage!r}, which is no stage of this flow; it has: {', '.join(names)}"
            raise RequestError(message)
        plugin = find_plugin(*stage.split("/", 1))
        if plugin.weights is None:
            raise RequestError(f"{stage} runs no network, so it takes no weights")
        if not plugin.network and Path(path).suffix not in CONVERTED:
            raise RequestError(f"{path} is no weight file for {stage}; it can be: {', '.join(CONVERTED)}")
        files[stage] = own_file(Path(path), plugin.weights)
    return files


def _options_of_weights(stage: str, file: PinnedFile) -> Mapping[str, Any]:
    """What a file of the user's own decides of its plugin."""
    plugin = find_plugin(*stage.split("/", 1))
    if not issubclass(plugin, NetworkPlugin) or plugin.network:
        return {}
    try:
        signature = WeightCache.of_user().signature(file)
        return {**plugin.options_of_axes(signature), **plugin.options_for(signature)}
    except ValueError as error:
        raise WeightsError(f"{file.path} is no network for {stage}: {error}", name=file.name) from error


def _detect_options(options: DetectorOptions) -> Mapping[str, Any]:
    rotate = None if options["rotate"] is None else str(options["rotate"])
    by_signs = rotate == _BY_SIGNS
    turns = None if rotate is None else steps(_QUARTER_DEG) if by_signs else parse_turns(rotate)
    told = {
        "longest_side": options["detect_size"],
        "min_score": options["min_score"],
        "turns": turns,
        "turns_by_signs": True if by_signs else None,
        "tile_px": options["tiles"],
        "enlarge": options["enlarge"],
        "detect_every": options["detect_every"],
    }
    return {name: value for name, value in told.items() if value is not None}


def _align_options(options: AlignerOptions) -> Mapping[str, Any]:
    chosen = _given(options, _OF_ALIGNERS)
    if options["filter"]:
        chosen["filters"] = parse_filters(options["filter"])
    if chosen and not options["align"]:
        asked = ", ".join("filter" if name == "filters" else name for name in chosen)
        raise RequestError(f"{asked} is for an aligner, and there is none; leave it out, or name an aligner")
    if Filter.SPREAD in dict(chosen.get("filters", ())) and len(_aligners(options)) == 1:
        raise RequestError("the filter spread compares several aligners, and there is one; name another with --align")
    return chosen


def _attributes(stage: str, options: AlignerOptions) -> Mapping[str, Any]:
    """What an aligner is told of the attributes that are asked for, as far as it sees them."""
    plugin = find_plugin(*stage.split("/", 1))
    sees = plugin.sees if issubclass(plugin, Aligner) else frozenset()
    return {_ATTRIBUTES[name]: True for name in options["attributes"] if _ATTRIBUTES[name] in sees}


def _given(options: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Those of some options that are not as they are if nobody says."""
    known = declared(FlowOptions)
    return {name: options[name] for name in names if options[name] != known[name].option.default}
