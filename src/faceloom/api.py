"""What users import: `extract` writes a result folder, `stream` yields frames with faces as they come."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeAlias, TypedDict, Unpack

from faceloom.engines.runtime import CPU, Precision
from faceloom.errors import BudgetError, RequestError, WeightsError
from faceloom.faces import Face, Image
from faceloom.flow import Flow, build_flow, find_plugin
from faceloom.frame import Frame
from faceloom.geometry.chips import Crop, Framing, frame_to_chip
from faceloom.media.chip_files import ChipFormat
from faceloom.media.excerpts import Excerpt, in_words, parse_position
from faceloom.memory.cores import usable_cores
from faceloom.memory.devices import AUTO
from faceloom.memory.footprints import Footprint
from faceloom.models.weights import CONVERTED, WeightCache, own_file
from faceloom.plan.plan import one_phase
from faceloom.run.choice import EVERY_FACE, Choice, length_of
from faceloom.run.events import Fetching, OnEvent, Summary
from faceloom.run.filters import parse_filters
from faceloom.run.forecast import Forecast, forecast, measure_now
from faceloom.run.importing import faces_file
from faceloom.run.job import Derivation, FacesFile, Job, Order, Outputs
from faceloom.run.references import find_people, want_people
from faceloom.run.supervisor import run_again, run_job
from faceloom.run.takeup import ShouldStop
from faceloom.run.targets import choose_targets
from faceloom.run.uprightness import parse_turns
from faceloom.stage import NetworkPlugin, PinnedFile
from faceloom.store.exports import has_landmarks, read_config
from faceloom.store.folder import DATABASE
from faceloom.store.origins import Origin, find_origin
from faceloom.store.store import LOOKS, Store
from faceloom.units import parse_bytes

RESULTS = 2
"""Counts the changes to our own arithmetic that change what is found; part of every configuration."""
CHIP_SIZES = range(64, 1025)
IMPORT = "import"
"""In place of a detector's name: faces are known from a file."""
_ALIGNING = ("normalize", "refeed", "realign")
ROOM_BYTES = 64 << 20
"""Pixels in flight: ten frames of 1080p, enough to keep the lanes busy."""
MOST_LANES = 8
_PACKAGES = (
    "faceloom",
    "onnxruntime",
    "onnxruntime-gpu",
    "torch",
    "opencv-python-headless",
    "av",
    "numpy",
    "pillow",
    "simplejpeg",
)

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
    """Which stages a job has; every one of these can be left out."""

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


def extract(
    inputs: PathLike | Iterable[PathLike],
    out: PathLike,
    *,
    size: int = 512,
    format: str = "jpg",  # noqa: A002  # the flag's name
    crop: str = "head",
    level: bool = True,
    chips: bool = True,
    mask_size: int = 256,
    overlay: bool = False,
    overlay_chips: bool = False,
    like: PathLike | Iterable[PathLike] = (),
    unlike: PathLike | Iterable[PathLike] = (),
    threshold: float | None = None,
    only_empty: bool = False,
    memory: int | str | None = None,
    ram: int | str | None = None,
    on_event: OnEvent = lambda event: None,
    should_stop: ShouldStop = lambda: False,
    **options: Unpack[FlowOptions],
) -> Summary:
    """Finds every face in pictures, folders and videos, and writes the result folder `out`.

    Called again with the same arguments it goes on where it ended, whatever ended it.

    Args:
        inputs: files or folders; folders are searched with everything below them.
        out: a new or empty folder, or one that the same call made before.
        size: side of the aligned chips in pixels, 64 to 1024.
        format: of the chips, `jpg`, `png` or `webp`.
        crop: what chips show, `face`, `head` or `whole` (with neck and shoulders).
        level: whether the eyes lie level in chips; if not, chips stand as their frames do.
        chips: whether to write chip files.
        mask_size: side of the stored masks in pixels; a mask covers the square that the chip shows.
        overlay: whether to write a copy of each frame with the faces drawn on it, for looking.
        overlay_chips: whether to write a copy of each chip with its face drawn on it.
        like: pictures of one face each; only faces like one of them are kept, the others are marked and have no chips.
        unlike: the same the other way round; a face that is like one of `like` too is not kept either.
        threshold: cosine from which on two faces are one person's, -1 to 1; the identifier's own if left out.
        only_empty: look a second time, with another detector, at the frames of `out` in which none was found; all else
            as the folder was made.
        memory: a ceiling for all processes of the run together, as bytes or like `800MiB`; on cards, for the memory of
            each of them. What is free, but for a reserve, if left out.
        ram: a ceiling for the RAM that they take; on the CPU `memory` is that too, and the lower of the two holds.
        on_event: told how the run goes on (see `faceloom.run.events`).
        should_stop: asked now and then; True ends the run after the chunk in hand.
        options: the stages, see `FlowOptions`.

    Raises:
        RequestError: an argument is wrong, or the folder holds something else.
        MediaError: there is no picture and no video among the inputs.
        BudgetError: the work does not fit into the memory; the message says what would do.
        WeightsError: a network is neither on this machine nor to be had.
        StageError: a stage cannot be loaded or breaks its contract.
        StoreError: the result folder cannot be written.
    """
    outputs = make_outputs(size=size, format=format, crop=crop, level=level)
    if not 16 <= mask_size < CHIP_SIZES.stop:
        raise RequestError(f"the mask size is {mask_size}, but has to be 16 to {CHIP_SIZES.stop - 1} pixels")
    paths = _existing(inputs)
    outputs = replace(outputs, write_chips=chips, mask_size=mask_size, overlay=overlay, overlay_chips=overlay_chips)
    flow = make_flow(options)
    wanted = want_people(flow, like=_references(like), unlike=_references(unlike), threshold=threshold)
    order = make_order(flow, outputs, options, memory=memory, ram=ram, on_event=on_event)
    if options.get("detect") == IMPORT:
        order = replace(order, faces_file=_faces_file(options))
    if wanted:  # before there is a folder: a bad reference leaves none
        order = replace(order, people=find_people(order, wanted, on_event=on_event))
    config = _config(order) | ({"people": wanted.to_json()} if wanted else {})
    if only_empty:
        if not (Path(out) / DATABASE).is_file():
            raise RequestError(f"{out} holds no results yet; run the command without --only-empty first")
        with Store(Path(out)) as store:
            look = store.use_look(config)
            return _noted(
                store, lambda: run_job(order, paths, store, look=look, on_event=on_event, should_stop=should_stop)
            )
    return _run(order, paths, Path(out), config, on_event=on_event, should_stop=should_stop)


def _run(
    order: Order,
    inputs: Sequence[Path],
    out: Path,
    config: Mapping[str, Any],
    *,
    on_event: OnEvent,
    should_stop: ShouldStop,
) -> Summary:
    """Does what is asked for in a result folder of this configuration; also what an extension has left undone."""
    with Store(out) as store:
        store.use_config(config)
        summary = _noted(store, lambda: run_job(order, inputs, store, on_event=on_event, should_stop=should_stop))
        first = store.run_id
        missing = order.flow.part(store.again.stages(first))
        if not missing.stages or summary.outcome != "done":
            return summary
        outputs = replace(order.outputs, write_chips=False, overlay=False, overlay_chips=False)
        rest = replace(order, flow=missing, outputs=outputs, choice=EVERY_FACE, faces_file=None, people=None)
        again = _noted(
            store, lambda: run_again(rest, store, sources_of=first, on_event=on_event, should_stop=should_stop)
        )
        return again.after(summary)


def extend(
    folder: PathLike,
    *,
    mask: Sequence[str] = (),
    identify: str | None = None,
    weights: Mapping[str, PathLike] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    memory: int | str | None = None,
    ram: int | str | None = None,
    on_event: OnEvent = lambda event: None,
    should_stop: ShouldStop = lambda: False,
    **machine: Unpack[MachineOptions],
) -> Summary:
    """Adds masks or embeddings to the faces of a result folder; nothing is detected or aligned again.

    Frames are read again where they were. Called again with the same arguments it goes on where it ended. The folder's
    configuration has the stages from then on, so that `extract` with all of them goes on too. Chips and overlays stay
    as they are.

    Args:
        folder: a result folder whose faces have landmarks.
        mask: masks to add.
        identify: the identifier to add.
        weights: as in `FlowOptions`, like the next.
        settings: of plugins.
        memory: a ceiling, as for `extract`.
        ram: the ceiling for RAM, as for `extract`.
        on_event: told how the run goes on.
        should_stop: asked now and then; True ends the run after the chunk in hand.
        machine: what it may take, see `MachineOptions`.

    Returns:
        How it ended: frames that lack a stage still, since their file is gone or has changed, are among the failed.

    Raises:
        RequestError: an argument is wrong, or the folder has the stage with other weights.
        BudgetError, WeightsError, StageError, StoreError: as `extract`.
    """
    if not mask and identify is None:
        raise RequestError("name what to add: --mask NAME or --identify NAME")
    config = read_config(Path(folder))
    if not has_landmarks(Path(folder)):
        raise RequestError(
            f"the faces of {folder} have no landmarks, which masks and embeddings are made by; extract anew"
        )
    options: FlowOptions = {**machine, "precision": config.get("precision", Precision.FP32)}  # type: ignore[typeddict-item]
    names = [*(f"mask/{name}" for name in mask), *([f"identify/{identify}"] if identify else [])]
    own = _own_weights(weights or {}, names)
    told = _options_of_plugins(names, own, settings or {})
    flow = build_flow(names, told, own, known=frozenset({"boxes", "landmarks"}))
    order = make_order(flow, _outputs_of(config), options, memory=memory, ram=ram, on_event=on_event)
    with Store(Path(folder)) as store:
        new = store.add_stages(flow.describe())
        try:
            return _noted(store, lambda: run_again(order, store, on_event=on_event, should_stop=should_stop))
        except BudgetError:  # before the first frame: the folder is as it was
            store.take_back(new)
            raise


def _noted(store: Store, work: Callable[[], Summary]) -> Summary:
    """What is done, as a run of the store."""
    store.begin_run(versions=_versions())
    try:
        summary = work()
    except BaseException as error:
        store.end_run(outcome=f"{type(error).__name__}: {error}", summary={})
        raise
    store.end_run(outcome=summary.outcome, summary=summary.to_json())
    return summary


def derive(
    folder: PathLike,
    out: PathLike,
    *,
    size: int = 512,
    format: str = "jpg",  # noqa: A002  # the flag's name
    crop: str = "head",
    level: bool = True,
    overlay: bool = False,
    overlay_chips: bool = False,
    memory: int | str | None = None,
    ram: int | str | None = None,
    threads: int | None = None,
    on_event: OnEvent = lambda event: None,
    should_stop: ShouldStop = lambda: False,
) -> Summary:
    """Cuts the chips of a result folder again, in another way, from its sources; no network is run.

    The new result folder has the same faces. Called again with the same arguments it goes on where it ended; where the
    other folder has gained faces, theirs come too.

    Args:
        folder: a finished result folder.
        out: a new or empty folder, or one that the same call made before.
        size: as for `extract`, with all that follow.
        format: of the chips.
        crop: what chips show; masks cover that square.
        level: whether the eyes lie level in chips.
        overlay: whether to draw on frames.
        overlay_chips: whether to draw on chips.
        memory: the ceiling.
        ram: the ceiling for RAM.
        threads: cores to use; all there are if left out.
        on_event: told how the run goes on.
        should_stop: asked now and then.

    Raises:
        RequestError: an argument is wrong, or the folder is not finished or has no landmarks.
        BudgetError: reading frames does not fit into the memory.
        StoreError: a result folder cannot be read, or written.
    """
    before, after = Path(folder), Path(out)
    if before.resolve() == after.resolve():
        raise RequestError(f"{after} holds the faces that chips are to be cut of; choose another folder for the chips")
    found = read_config(before)
    if not found.get("stages") or found.get("derived"):
        raise RequestError(f"{before} was not made by faceloom extract; derive from the folder that was")
    if not has_landmarks(before):
        raise RequestError(f"the faces of {before} have no landmarks to cut chips by; extract with an aligner")
    outputs = make_outputs(size=size, format=format, crop=crop, level=level)
    outputs = replace(outputs, mask_size=found["mask_size"], overlay=overlay, overlay_chips=overlay_chips)
    flow = _landmark_masks(found["stages"])
    options: FlowOptions = {"device": CPU, **({} if threads is None else {"threads": threads})}
    order = make_order(flow, outputs, options, memory=memory, ram=ram, on_event=on_event)
    framing = Framing(Crop(found.get("crop", Crop.HEAD)), level=found.get("level", True))
    order = replace(order, derivation=Derivation(folder=before, framing=framing, models=_models(found)))
    same = {name: value for name, value in found.items() if name not in {"crop", "level", "overlay_chips"}}
    chosen = {name: value for name, value in _config(order).items() if name not in {"results", "stages"}}
    config = {**same, **chosen, "derived": True}
    return _run(order, [], after, config, on_event=on_event, should_stop=should_stop)


def _models(config: Mapping[str, Any]) -> tuple[dict[str, str], ...]:
    """sha256 of the weights of each stage, of the flow and of that with the detector of each second look."""
    others = {stage: told for stage, told in config["stages"].items() if not stage.startswith("detect/")}
    flows = [config["stages"], *({**others, **look} for look in config.get(LOOKS, ()))]
    return tuple({stage: told["weights"] for stage, told in flow.items() if told.get("weights")} for flow in flows)


def _landmark_masks(stages: Mapping[str, Mapping[str, Any]]) -> Flow:
    """Of the stages of a result folder the masks that need no network, with their options."""
    names = [name for name, told in stages.items() if name.startswith("mask/") and not told.get("weights")]
    options = {name: {key: value for key, value in stages[name].items() if key != "weights"} for name in names}
    return build_flow(names, options, known=frozenset({"boxes", "landmarks"}))


def plan(
    inputs: PathLike | Iterable[PathLike],
    *,
    size: int = 512,
    format: str = "jpg",  # noqa: A002
    crop: str = "head",
    level: bool = True,
    memory: int | str | None = None,
    ram: int | str | None = None,
    what_if: Sequence[int | str] = (),
    on_event: OnEvent = lambda event: None,
    **options: Unpack[FlowOptions],
) -> Forecast:
    """Plans what `extract` would do with the same arguments; no network is run, frames are counted and not read.

    Args:
        inputs: files or folders, as for `extract`.
        size: of the chips, with the next three as for `extract`.
        format: of the chips.
        crop: what chips show.
        level: whether the eyes lie level in chips.
        memory: the ceiling, as for `extract`.
        ram: the ceiling for RAM, as for `extract`.
        what_if: plan for each of these ceilings instead.
        on_event: told how the counting goes on.
        options: the stages, see `FlowOptions`.

    Raises:
        As `extract`; a budget that is too small is part of the answer.
    """
    flow = make_flow(options)
    budgets = [room for item in what_if if (room := _budget(item)) is not None]
    outputs = make_outputs(size=size, format=format, crop=crop, level=level)
    order = make_order(flow, outputs, options, memory=memory, ram=ram, on_event=on_event)
    return forecast(order, _existing(inputs), budgets, on_event=on_event)


def profile(
    inputs: PathLike | Iterable[PathLike] = (),
    *,
    on_event: OnEvent = lambda event: None,
    **options: Unpack[FlowOptions],
) -> dict[str, Footprint]:
    """Measures what every stage costs on this machine, and keeps it for the runs to come.

    Args:
        inputs: files or folders whose largest frame is what the detector is measured with; 1080p if left out.
        on_event: told how the measuring goes on.
        options: the stages, see `FlowOptions`.

    Returns:
        The footprint of each stage that runs a network, by its name.
    """
    flow = make_flow(options)
    order = make_order(flow, Outputs(), options, on_event=on_event)
    paths = [Path(inputs)] if isinstance(inputs, str | Path) else [Path(item) for item in inputs]
    return measure_now(order, _existing(paths) if paths else [], on_event=on_event)


def stream(
    inputs: PathLike | Iterable[PathLike | Image],
    *,
    mask_size: int = 256,
    crop: str = "head",
    level: bool = True,
    **options: Unpack[FlowOptions],
) -> Iterator[Frame]:
    """Yields every frame of the inputs with its faces, in order, writing no files and in constant memory.

    Args:
        inputs: files, folders, or images as (H, W, 3) uint8 RGB arrays, also from a generator that never ends.
        mask_size: side of the masks in pixels.
        crop: what chips are to show, and masks to cover, as for `extract`.
        level: whether the eyes are to lie level in them.
        options: the stages, see `FlowOptions`.

    Yields:
        Frames as `Frame`, with `faces`; one that cannot be read has an empty image and says why in `problem`.

    Raises:
        RequestError: an argument is wrong.
        WeightsError: a network is neither on this machine nor to be had.
        StageError: a stage cannot be loaded or breaks its contract.
    """
    from faceloom.run.live import LiveWorker

    if options.get("detect") == IMPORT:
        raise RequestError("a stream has no faces from a file; use extract, or name a detector")
    flow = make_flow(options)
    outputs = Outputs(mask_size=mask_size, framing=make_framing(crop, level=level))
    order = make_order(flow, outputs, options, on_event=lambda event: None)
    plan = one_phase([stage.name for stage in flow.networks], chunk_frames=1, lanes=min(order.cores, MOST_LANES))
    job = Job(
        flow=flow,
        weights=order.weights,
        plan=plan,
        outputs=order.outputs,
        room_bytes=ROOM_BYTES,
        choice=order.choice,
        runtime=order.runtime,
    )
    items = [inputs] if isinstance(inputs, str | Path) else inputs
    with LiveWorker(job, order.excerpt) as worker:
        yield from worker.frames(items)


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


def chip(face: Face, *, size: int = 512, crop: str = "head", level: bool = True) -> Image:
    """The aligned chip (size, size, 3) of a face that `stream` yielded; crop and level as for `extract`.

    Masks cover the square of this chip if `stream` was told the same; unless it was told `whole`, it keeps of the frame
    what `head` shows, and a larger chip repeats the edge of that.

    Raises:
        RequestError: the face has no landmarks, since the flow has no aligner; or there is no such crop.
    """
    from faceloom.run.steps import cut_kept_chip

    framing = make_framing(crop, level=level)
    if face.landmarks is None or face.patch is None:
        raise RequestError(f"{face} has no landmarks to cut a chip by; stream with an aligner")
    return cut_kept_chip(face, frame_to_chip(face.landmarks, size=size, framing=framing), size=size)


def where(chip: PathLike) -> Origin:
    """Where a chip file comes from: by the store of its result folder, else by what it says of itself.

    Raises:
        MediaError: neither tells.
        StoreError: the store cannot be read.
    """
    return find_origin(Path(chip))


def draw_origin(origin: Origin, target: Path) -> None:
    """Writes the frame that a chip comes from, with its face drawn on it, to a new PNG or JPEG file.

    Raises:
        RequestError: the target is there already, or has another suffix; or the chip lies in no result folder.
        MediaError: the frame cannot be read.
    """
    from faceloom.run.origins import draw_origin as draw

    draw(origin, target)


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
    own = _own_weights(options.get("weights", {}), names)
    told = _options_of_plugins(names, own, options.get("settings", {}))
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


def _options_of_plugins(
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


def _faces_file(options: FlowOptions) -> FacesFile:
    (path,) = _existing(options["from_"])
    return faces_file(path, format=options.get("from_format"))


def _own_weights(paths: Mapping[str, PathLike], names: Sequence[str]) -> dict[str, PinnedFile]:
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
        return plugin.options_for(WeightCache.of_user().signature(file))
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


def make_order(
    flow: Flow,
    outputs: Outputs,
    options: FlowOptions,
    *,
    memory: int | str | None = None,
    ram: int | str | None = None,
    on_event: OnEvent,
) -> Order:
    """What is asked for, with every weight file at hand.

    Raises:
        RequestError: a value out of range, or an engine that cannot run a stage.
        BudgetError: this machine lacks the device, or an engine for it.
        WeightsError: a network is neither on this machine nor to be had.
    """
    threads = options.get("threads")
    if threads is not None and threads < 1:
        raise RequestError(f"{threads} threads cannot do anything; ask for 1 or more")
    memory_bytes, ram_bytes = _budget(memory), _budget(ram)
    targets = choose_targets(
        options.get("device", AUTO) if flow.networks else CPU,
        excluded=options.get("exclude_device", ""),
        engine=options.get("engine"),
        precision=options.get("precision", Precision.FP32),
        checkpoints=[stage.name for stage in flow.networks if stage.plugin.network],
        memory_bytes=memory_bytes,
    )
    # Without a memory of its own the device's is the host's: both ceilings are for the same.
    has_memory = any(target.has_memory for target in targets)
    ceilings = [ram_bytes] if has_memory else [memory_bytes, ram_bytes]
    budget_bytes = min((size for size in ceilings if size is not None), default=None)
    cache = WeightCache.of_user()

    def on_bytes(name: str, done: int, total: int) -> None:
        on_event(Fetching(name=name, done_bytes=done, total_bytes=total))

    weights = {stage.name: cache.prepare(stage.weights, on_bytes=on_bytes) for stage in flow.networks if stage.weights}
    return Order(
        flow=flow,
        weights=weights,
        outputs=outputs,
        cores=threads or usable_cores(),
        budget_bytes=budget_bytes,
        footprints=cache.folder / "footprints",
        excerpt=make_excerpt(options),
        choice=make_choice(options),
        targets=targets,
    )


def _align_options(options: FlowOptions) -> Mapping[str, Any]:
    chosen: dict[str, Any] = {name: value for name, value in options.items() if name in _ALIGNING}
    if options.get("filter"):
        chosen["filters"] = parse_filters(options["filter"])
    if chosen and not options.get("align", "facemesh"):
        asked = ", ".join("filter" if name == "filters" else name for name in chosen)
        raise RequestError(f"{asked} is for an aligner, and there is none; leave it out, or name an aligner")
    return chosen


def _budget(memory: int | str | None) -> int | None:
    try:
        size = parse_bytes(memory) if isinstance(memory, str) else memory
    except ValueError as error:
        raise RequestError(str(error)) from error
    if size is not None and size <= 0:
        raise RequestError(f"a budget of {size} bytes is none; ask for something like 800MiB")
    return size


def _config(order: Order) -> dict[str, Any]:
    outputs, file = order.outputs, order.faces_file
    chips = {"size": outputs.chip_size, "format": outputs.chip_format} if outputs.write_chips else None
    return {
        "results": RESULTS,
        "stages": order.flow.describe(),
        "chips": chips,
        "mask_size": outputs.mask_size,
        "overlay": outputs.overlay,
        # Said where they are not as they were when there was nothing to choose: folders of then are gone on with.
        **({} if outputs.framing.crop is Crop.HEAD else {"crop": outputs.framing.crop}),
        **({} if outputs.framing.level else {"level": False}),
        **({"overlay_chips": True} if outputs.overlay_chips else {}),
        # Either engine finds the same in float32, so that one may go on where the other ended.
        **({} if order.runtime.precision is Precision.FP32 else {"precision": order.runtime.precision}),
        **({"import": {"format": file.format, "sha256": file.sha256}} if file else {}),
        # Said where something is left out: folders made when there was nothing to choose are gone on with.
        **{name: str(value) for name, value in _left_out(order).items() if value is not None},
    }


def _outputs_of(config: Mapping[str, Any]) -> Outputs:
    """What a folder's masks lie over; no chips are written."""
    return Outputs(
        write_chips=False,
        mask_size=config["mask_size"],
        framing=make_framing(config.get("crop", Crop.HEAD), level=config.get("level", True)),
    )


def _left_out(order: Order) -> dict[str, object]:
    """Of what keeps frames and faces out of a result, that which was asked for."""
    excerpt, choice = order.excerpt, order.choice
    return {
        "every": None if excerpt.every == 1 else excerpt.every,
        "start": None if excerpt.start is None else in_words(excerpt.start),
        "end": None if excerpt.end is None else in_words(excerpt.end),
        "min_size": choice.min_size,
        "max_size": choice.max_size,
        "max_faces": choice.max_faces,
    }


def _versions() -> dict[str, str]:
    """Of the packages that a result may depend on, as far as they are installed."""
    found: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _references(pictures: PathLike | Iterable[PathLike]) -> list[Path]:
    paths = [pictures] if isinstance(pictures, str | Path) else list(pictures)
    return _existing(paths) if paths else []


def _existing(inputs: PathLike | Iterable[PathLike]) -> list[Path]:
    paths = [Path(item) for item in ([inputs] if isinstance(inputs, str | Path) else inputs)]
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise RequestError(
            f"there is no file or folder {missing[0]!r}" + (f", nor {missing[1:]}" if missing[1:] else "")
        )
    if not paths:
        raise RequestError("no inputs were named")
    return paths
