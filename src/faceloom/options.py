"""What a caller may ask for, and what it means: options become flows, outputs, excerpts and choices."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

from faceloom.errors import RequestError, WeightsError
from faceloom.flow import Flow, build_flow, find_plugin
from faceloom.geometry.chips import Crop, Framing
from faceloom.geometry.turning import parse_turns
from faceloom.job import FacesFile, Outputs
from faceloom.media.chip_files import ChipFormat
from faceloom.media.excerpts import Excerpt, parse_position
from faceloom.models.weights import CONVERTED, WeightCache, own_file
from faceloom.pipeline.filters import parse_filters
from faceloom.selection import Choice, length_of
from faceloom.stage import NetworkPlugin, PinnedFile
from faceloom.supervisor.faces_file import faces_file

CHIP_SIZES = range(64, 1025)
IMPORT = "import"
"""In place of a detector's name: faces are known from a file."""
_ALIGNING = ("normalize", "refeed", "realign")

PathLike: TypeAlias = str | Path


class MachineOptions(TypedDict, total=False):
    """What a job may take besides memory; every one of these can be left out."""

    threads: int
    """Cores to use; all there are if left out."""
    device: str
    """`cpu`, `cuda:0`, several with commas between, or `auto` if left out: the card with the most free memory that can
    be used, else the CPU."""
    exclude_device: str
    """Devices to leave alone, with commas between."""
    engine: str
    """`onnx` or `torch`; if left out, the one that can do the work, ONNX Runtime where both can."""


class FlowOptions(MachineOptions, total=False):
    """Options of the stages of a job; every one of these can be left out."""

    detect: str
    """Detector, `yunet` if left out; `import` where a file tells which faces there are."""
    from_: PathLike
    """With `import`: the file, or folder, that tells; those of its faces that have landmarks keep them."""
    from_format: str
    """Its format, as `faceloom export --to` names it; by its suffix if left out."""
    align: str | None
    """Aligner, `facemesh` if left out; None for boxes only."""
    normalize: str
    """How the lighting of what the aligner sees is made even: `clahe`, `hist` or `mean`; not at all, or `none`, if left
    out. What is kept is as it was."""
    refeed: int
    """Over how many squares beside each other the landmarks are averaged, 1 to 32; 1 if left out."""
    realign: bool
    """Whether the aligner looks once more, at a square laid by the landmarks it found; False if left out."""
    filter: Sequence[str]
    """What marks faces as rejected by their landmarks: `confidence`, `distance`, `scale`, `roll`, `order`, or as in
    `roll=45` with a threshold other than the default; none if left out. They stay, and no later stage sees them."""
    mask: Sequence[str]
    """Masks, `components` and `extended` if left out."""
    identify: str | None
    """Identifier, none if left out: faces become comparable only when that is asked for."""
    weights: Mapping[str, PathLike]
    """Weight files of your own by stage, like `identify/arcface`, in place of those of the catalog."""
    settings: Mapping[str, Mapping[str, Any]]
    """Options of plugins by stage and name, like `{"detect/yunet": {"max_iou": 0.4}}`; they are the plugins' fields."""
    detect_size: int
    """Longer side in pixels to which larger frames are scaled down for the detector."""
    min_score: float
    """Least score of a face, 0 to 1; the detector's own default if left out."""
    min_size: int | float | str
    """Least size of a face: the longer side of its box in pixels, or like `5%` of the frame's shorter side."""
    max_size: int | float | str
    """Greatest size of a face, likewise."""
    rotate: int | float | str
    """Where no face is found upright, look again turned: `90` by its multiples, `0,45,315` by these angles in degrees,
    clockwise, in this order; the first at which a face is found counts."""
    tiles: int
    """For small faces in large frames: look at overlapping squares of so many pixels too, at the frame's resolution."""
    max_faces: int
    """In a frame: the best of those of the right size are kept."""
    every: int
    """Of a video every n-th frame, the first of them at `start`."""
    start: str
    """Where in a video to begin: seconds, `1:23.5`, or the index of a frame like `250f`."""
    end: str
    """Where in a video to end, likewise: the frame there is not wanted any more."""
    precision: str
    """Of the networks' arithmetic on a card: `fp32` if left out, `tf32` or `fp16`."""


def landmark_masks(stages: Mapping[str, Mapping[str, Any]]) -> Flow:
    """Of the stages of a result folder the masks that need no network, with their options."""
    names = [name for name, told in stages.items() if name.startswith("mask/") and not told.get("weights")]
    options = {name: {key: value for key, value in stages[name].items() if key != "weights"} for name in names}
    return build_flow(names, options, known=frozenset({"boxes", "landmarks"}))


def make_outputs(*, size: int, format: str, crop: str, level: bool) -> Outputs:  # noqa: A002
    """Chips as they are asked for.

    Raises:
        RequestError: a value out of range.
    """
    if size not in CHIP_SIZES:
        raise RequestError(f"the chip size is {size}, but has to be {CHIP_SIZES.start} to {CHIP_SIZES.stop - 1} pixels")
    if format not in set(ChipFormat):
        raise RequestError(f"there is no chip format {format!r}; there are: {', '.join(ChipFormat)}")
    return Outputs(chip_size=size, chip_format=ChipFormat(format), framing=make_framing(crop, level=level))


def make_framing(crop: str, *, level: bool) -> Framing:
    """The square that chips are to show.

    Raises:
        RequestError: there is no such crop.
    """
    if crop not in set(Crop):
        raise RequestError(f"there is no crop {crop!r}; there are: {', '.join(Crop)}")
    return Framing(Crop(crop), level=level)


def make_flow(options: FlowOptions) -> Flow:
    """The flow that the options ask for.

    Raises:
        RequestError: an unknown plugin or a value out of range.
    """
    detect = f"detect/{options.get('detect', 'yunet')}"
    imports = options.get("detect") == IMPORT
    align = options.get("align", "facemesh")
    masks = options.get("mask", ("components", "extended") if align or imports else ())
    identify = options.get("identify")
    names = [
        *([] if imports else [detect]),
        *([f"align/{align}"] if align else []),
        *(f"mask/{mask}" for mask in masks),
    ]
    names += [f"identify/{identify}"] if identify else []
    own = own_weights(options.get("weights", {}), names)
    told = options_of_plugins(names, own, options.get("settings", {}))
    if "filters" in told.get(f"align/{align}", {}):
        raise RequestError("filters are no setting of a plugin; ask for --filter NAME, or filter=[NAME] in Python")
    asked = {f"align/{align}": _align_options(options)}
    if imports:
        _refuse_options_of_detectors(options)
    elif "from_" in options or "from_format" in options:
        raise RequestError("a file that tells of faces (--from) is for --detect import")
    else:
        asked[detect] = _detect_options(options)
    given = {stage: {**told[stage], **asked.get(stage, {})} for stage in names}
    if imports:
        return build_flow(names, given, own, known=frozenset({"boxes"} if align else {"boxes", "landmarks"}))
    return build_flow(names, given, own)


def options_of_plugins(
    names: Sequence[str], own: Mapping[str, PinnedFile], settings: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """What the user's own files and settings say of the plugins of stages."""
    for stage in settings.keys() - set(names):
        raise RequestError(f"options are set for {stage!r}, which is no stage of this flow; it has: {', '.join(names)}")
    told = {stage: _options_of_weights(stage, file) for stage, file in own.items()}
    return {stage: {**told.get(stage, {}), **settings.get(stage, {})} for stage in names}


def _refuse_options_of_detectors(options: FlowOptions) -> None:
    if "from_" not in options:
        raise RequestError("--detect import takes faces from a file; name it with --from")
    for name in ("detect_size", "min_score", "rotate", "tiles"):
        if name in options:
            raise RequestError(f"{name} is for a detector, and with --detect import there is none")


def faces_file_of(options: FlowOptions) -> FacesFile:
    """The file whose faces take a detector's place.

    Raises:
        RequestError: there is no such file, or no such format.
    """
    (path,) = existing(options["from_"])
    return faces_file(path, format=options.get("from_format"))


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


def _detect_options(options: FlowOptions) -> Mapping[str, Any]:
    chosen: dict[str, Any] = {}
    if "detect_size" in options:
        chosen["longest_side"] = options["detect_size"]
        if not 32 <= options["detect_size"] <= 8192:
            raise RequestError(f"the detect size is {options['detect_size']}, but has to be 32 to 8192 pixels")
    if "min_score" in options:
        chosen["min_score"] = options["min_score"]
        if not 0 < options["min_score"] <= 1:
            raise RequestError(f"the least score is {options['min_score']}, but has to be above 0 and at most 1")
    if "rotate" in options:
        chosen["turns"] = parse_turns(str(options["rotate"]))
    if "tiles" in options:
        chosen["tile_px"] = options["tiles"]
        if not 128 <= options["tiles"] <= 8192:
            raise RequestError(f"tiles have sides of {options['tiles']}, but have to have 128 to 8192 pixels")
    return chosen


def make_excerpt(options: FlowOptions) -> Excerpt:
    """The frames of videos that the options ask for.

    Raises:
        RequestError: a value is none that could be meant.
    """
    every = options.get("every", 1)
    if every < 1:
        raise RequestError(f"every {every}-th frame is none; ask for 1 or more")
    start, end = (parse_position(str(options[key])) if key in options else None for key in ("start", "end"))
    if start is not None and end is not None and isinstance(start, int) == isinstance(end, int) and end <= start:
        raise RequestError(f"nothing lies between --start {options['start']} and --end {options['end']}")
    return Excerpt(every=every, start=start, end=end)


def make_choice(options: FlowOptions) -> Choice:
    """The faces that the options ask for.

    Raises:
        RequestError: a value is none that could be meant.
    """
    most = options.get("max_faces")
    if most is not None and most < 1:
        raise RequestError(f"at most {most} faces of a frame are none; ask for 1 or more")
    least, greatest = (length_of(options[key]) if key in options else None for key in ("min_size", "max_size"))
    if least and greatest and least.is_share == greatest.is_share and greatest.value < least.value:
        raise RequestError(f"no face is at least {options['min_size']} and at most {options['max_size']} in size")
    return Choice(min_size=least, max_size=greatest, max_faces=most)


def _align_options(options: FlowOptions) -> Mapping[str, Any]:
    chosen: dict[str, Any] = {name: value for name, value in options.items() if name in _ALIGNING}
    if options.get("filter"):
        chosen["filters"] = parse_filters(options["filter"])
    if chosen and not options.get("align", "facemesh"):
        asked = ", ".join("filter" if name == "filters" else name for name in chosen)
        raise RequestError(f"{asked} is for an aligner, and there is none; leave it out, or name an aligner")
    return chosen


def reference_pictures(pictures: PathLike | Iterable[PathLike]) -> list[Path]:
    """Pictures of people; there may be none.

    Raises:
        RequestError: one is not there.
    """
    paths = [pictures] if isinstance(pictures, str | Path) else list(pictures)
    return existing(paths) if paths else []


def existing(inputs: PathLike | Iterable[PathLike]) -> list[Path]:
    """The inputs as paths.

    Raises:
        RequestError: one is not there, or none was named.
    """
    paths = [Path(item) for item in ([inputs] if isinstance(inputs, str | Path) else inputs)]
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise RequestError(
            f"there is no file or folder {missing[0]!r}" + (f", nor {missing[1:]}" if missing[1:] else "")
        )
    if not paths:
        raise RequestError("no inputs were named")
    return paths
