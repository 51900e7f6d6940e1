"""What users import: `extract` writes a result folder, `stream` yields frames with faces as they come."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from faceloom.engines.runtime import CPU, Precision
from faceloom.errors import BudgetError, RequestError
from faceloom.events import OnEvent, Summary
from faceloom.faces import Face, Image
from faceloom.flow import build_flow
from faceloom.frame import Frame
from faceloom.geometry.chips import Crop, Framing, frame_to_chip
from faceloom.job import Derivation, EngineJob, Job, Order, Outputs
from faceloom.memory.footprints import Footprint
from faceloom.options import (
    CHIP_SIZES,
    IMPORT,
    FlowOptions,
    MachineOptions,
    PathLike,
    existing,
    faces_file_of,
    landmark_masks,
    make_flow,
    make_framing,
    make_outputs,
    options_of_plugins,
    own_weights,
    reference_pictures,
)
from faceloom.orders import budget_bytes_of, config_of, make_order, outputs_of, versions
from faceloom.selection import EVERY_FACE
from faceloom.solver.plan import one_phase
from faceloom.store.configuration import LOOKS
from faceloom.store.folder import DATABASE
from faceloom.store.origins import Origin, find_origin
from faceloom.store.reading import has_landmarks, read_config
from faceloom.store.store import Store
from faceloom.supervisor.forecast import Forecast, forecast, measure_now
from faceloom.supervisor.inputs import ShouldStop
from faceloom.supervisor.references import find_people, want_people
from faceloom.supervisor.run import run_again, run_job

IN_FLIGHT_BYTES = 64 << 20
"""Pixels in flight: ten frames of 1080p, enough to keep the lanes busy."""
MOST_LANES = 8


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
        on_event: told how the run goes on (see `faceloom.events`).
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
    paths = existing(inputs)
    outputs = replace(outputs, write_chips=chips, mask_size=mask_size, overlay=overlay, overlay_chips=overlay_chips)
    flow = make_flow(options)
    wanted = want_people(flow, like=reference_pictures(like), unlike=reference_pictures(unlike), threshold=threshold)
    order = make_order(flow, outputs, options, memory=memory, ram=ram, on_event=on_event)
    if options.get("detect") == IMPORT:
        order = replace(order, faces_file=faces_file_of(options))
    if wanted:  # before there is a folder: a bad reference leaves none
        order = replace(order, people=find_people(order, wanted, on_event=on_event))
    config = config_of(order) | ({"people": wanted.to_json()} if wanted else {})
    if only_empty:
        if not (Path(out) / DATABASE).is_file():
            raise RequestError(f"{out} holds no results yet; run the command without --only-empty first")
        with Store(Path(out)) as store:
            look = store.configuration.use_look(config)
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
        store.configuration.use(config)
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
    own = own_weights(weights or {}, names)
    told = options_of_plugins(names, own, settings or {})
    flow = build_flow(names, told, own, known=frozenset({"boxes", "landmarks"}))
    order = make_order(flow, outputs_of(config), options, memory=memory, ram=ram, on_event=on_event)
    with Store(Path(folder)) as store:
        new = store.configuration.add_stages(flow.describe())
        try:
            return _noted(store, lambda: run_again(order, store, on_event=on_event, should_stop=should_stop))
        except BudgetError:  # before the first frame: the folder is as it was
            store.configuration.take_back(new)
            raise


def _noted(store: Store, work: Callable[[], Summary]) -> Summary:
    """What is done, as a run of the store."""
    store.begin_run(versions=versions())
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
    flow = landmark_masks(found["stages"])
    options: FlowOptions = {"device": CPU, **({} if threads is None else {"threads": threads})}
    order = make_order(flow, outputs, options, memory=memory, ram=ram, on_event=on_event)
    framing = Framing(Crop(found.get("crop", Crop.HEAD)), level=found.get("level", True))
    order = replace(order, derivation=Derivation(folder=before, framing=framing, models=_models(found)))
    same = {name: value for name, value in found.items() if name not in {"crop", "level", "overlay_chips"}}
    chosen = {name: value for name, value in config_of(order).items() if name not in {"results", "stages"}}
    config = {**same, **chosen, "derived": True}
    return _run(order, [], after, config, on_event=on_event, should_stop=should_stop)


def _models(config: Mapping[str, Any]) -> tuple[dict[str, str], ...]:
    """sha256 of the weights of each stage, of the flow and of that with the detector of each second look."""
    others = {stage: told for stage, told in config["stages"].items() if not stage.startswith("detect/")}
    flows = [config["stages"], *({**others, **look} for look in config.get(LOOKS, ()))]
    return tuple({stage: told["weights"] for stage, told in flow.items() if told.get("weights")} for flow in flows)


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
    budgets = [room for item in what_if if (room := budget_bytes_of(item)) is not None]
    outputs = make_outputs(size=size, format=format, crop=crop, level=level)
    order = make_order(flow, outputs, options, memory=memory, ram=ram, on_event=on_event)
    return forecast(order, existing(inputs), budgets, on_event=on_event)


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
    return measure_now(order, existing(paths) if paths else [], on_event=on_event)


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
    from faceloom.worker.live import LiveWorker

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
        in_flight_bytes=IN_FLIGHT_BYTES,
        choice=order.choice,
        engine=EngineJob(runtime=order.runtime),
    )
    items = [inputs] if isinstance(inputs, str | Path) else inputs
    with LiveWorker(job, order.excerpt) as worker:
        yield from worker.frames(items)


def chip(face: Face, *, size: int = 512, crop: str = "head", level: bool = True) -> Image:
    """Cuts the aligned chip (size, size, 3) of a face that `stream` yielded; crop and level are as for `extract`.

    Masks cover the square of this chip if `stream` was told the same; unless it was told `whole`, it keeps of the frame
    what `head` shows, and a larger chip repeats the edge of that.

    The chips of a result folder are in files, which `Results.chip` reads.

    Raises:
        RequestError: the face has no landmarks, since the flow has no aligner, or no pixels any more; or there is no
            such crop.
    """
    from faceloom.pipeline.faces import cut_kept_chip

    framing = make_framing(crop, level=level)
    if face.landmarks is None:
        raise RequestError(f"{face} has no landmarks to cut a chip by; stream with an aligner")
    if face.patch is None:
        raise RequestError(f"{face} has no pixels to cut a chip of; results.chip(face) reads that of a result folder")
    return cut_kept_chip(face, frame_to_chip(face.landmarks, size=size, framing=framing), size=size)


def where(chip: PathLike) -> Origin:
    """Tells where a chip file comes from: by the store of its result folder, else by what it says of itself.

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
    from faceloom.pipeline.drawing import draw_origin as draw

    draw(origin, target)
