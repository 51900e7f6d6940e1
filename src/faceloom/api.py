"""What users import: `extract` writes a result folder, `stream` yields frames with faces as they come."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from faceloom.choices import Border, Precision
from faceloom.engines.runtime import CPU
from faceloom.errors import BudgetError, FaceloomError, RequestError
from faceloom.events import NOT_REMADE, Notice, OnEvent, Summary
from faceloom.faces import Face, Image
from faceloom.flow import Flow
from faceloom.frame import Frame
from faceloom.geometry.chips import frame_to_chip
from faceloom.job import Derivation, EngineJob, Job, Order, Outputs
from faceloom.media.listing import Inputs
from faceloom.media.numbered import rate_of
from faceloom.media.remote import refuse_address
from faceloom.memory.budget import budget_bytes_of
from faceloom.memory.footprints import Footprint
from faceloom.options.calls import (
    ChipCutOptions,
    DeriveOptions,
    ExtendOptions,
    ExtractOptions,
    PassesOptions,
    PlanOptions,
    ProfileOptions,
    RemakeOptions,
    StreamOptions,
    TrackOptions,
)
from faceloom.options.declared import declared
from faceloom.options.keywords import takes
from faceloom.options.stages import PathLike
from faceloom.orders.configuration import colours_of, config_of, derivation_of, models_of, settled, versions
from faceloom.orders.flows import IMPORT, added_flow, landmark_masks, make_flow, recognising_flow
from faceloom.orders.inputs import existing, faces_file_of, inputs_of, references
from faceloom.orders.order import make_order
from faceloom.orders.outputs import border_for, framing_for, max_border_for, outputs_for, outputs_of
from faceloom.remaking import remake, remake_with
from faceloom.selection import EVERY_FACE, People
from faceloom.solver.plan import one_phase
from faceloom.store.again import CHIP_FILES
from faceloom.store.carrying import told_in
from faceloom.store.configuration import INTERPOLATED, SHARD, SMOOTH, framing_of
from faceloom.store.copies import CopyKind, note_made
from faceloom.store.folder import DATABASE
from faceloom.store.origins import Origin, find_origin
from faceloom.store.publishing import published_meanwhile
from faceloom.store.reading import has_landmarks, read_config
from faceloom.store.remaking import select_to_make
from faceloom.store.store import Store
from faceloom.supervisor.forecast import Forecast, forecast, measure_now
from faceloom.supervisor.in_process import MOST_LANES
from faceloom.supervisor.inputs import ShouldStop
from faceloom.supervisor.nodes import read_nodes
from faceloom.supervisor.references import Wanted, find_people, want_people
from faceloom.supervisor.run import run_again, run_job
from faceloom.targets import Target

if TYPE_CHECKING:
    from faceloom.live_runs import PassRun
    from faceloom.media.live import LiveSettings

IN_FLIGHT_BYTES = 64 << 20
"""Pixels in flight: ten frames of 1080p, enough to keep the lanes busy."""
_OF_CHIPS = frozenset({"crop", "level", "overlay_chips", "border", "aligned", SMOOTH, INTERPOLATED})
"""Keys of a configuration that deriving leaves to those who derive."""


@takes(ExtractOptions)
def extract(
    inputs: PathLike | Iterable[PathLike],
    out: PathLike,
    *,
    on_event: OnEvent = lambda event: None,
    should_stop: ShouldStop = lambda: False,
    **options: Unpack[ExtractOptions],
) -> Summary:
    """Finds every face in pictures, folders and videos, and writes the result folder `out`.

    Called again with the same arguments it goes on where it ended, whatever ended it.

    Args:
        inputs: files or folders; folders are searched with everything below them. May be empty beside a list.
        out: a new or empty folder, or one that the same call made before.
        on_event: told how the run goes on (see `faceloom.events`).
        should_stop: asked now and then; True ends the run after the chunk in hand.
        options: as docs/options.md lists them.

    Raises:
        TypeError: there is no such keyword.
        RequestError: an argument is wrong, or the folder holds something else.
        MediaError: there is no picture and no video among the inputs.
        BudgetError: the work does not fit into the memory; the message says what would do.
        WeightsError: a network is neither on this machine nor to be had.
        StageError: a stage cannot be loaded or breaks its contract.
        StoreError: the result folder cannot be written.
    """
    started = time.monotonic()
    refuse_address(out)
    given = inputs_of(inputs, options)
    if given.remote and options["only_empty"]:
        raise RequestError("a second look reads frames again, and remote files are gone by then; fetch them first")
    order, config = _extraction(options, given, Path(out), on_event=on_event)
    go = _look_again if options["only_empty"] else _run
    with published_meanwhile(Path(out), options["publish"], every_s=options["snapshot_every"], on_event=on_event):
        summary = go(order, given, Path(out), config, started, on_event=on_event, should_stop=should_stop)
        if (options["track"] or options["smooth"]) and summary.outcome == "done":
            _track(out, on_event=on_event, **_of_tracking(options))
    return summary


def _track(out: PathLike, *, on_event: OnEvent, **options: Unpack[TrackOptions]) -> None:
    from faceloom.tracks import track  # only here, so that runs without it start sooner

    track(out, on_event=on_event, **options)


def _of_tracking(options: ExtractOptions) -> TrackOptions:
    """What tracking is told of what extracting is."""
    told: Mapping[str, Any] = options
    answer: TrackOptions = {}
    for name in declared(TrackOptions):
        answer[name] = told[name]  # type: ignore[literal-required]  # each is one of its keys
    return answer


def _extraction(
    options: ExtractOptions, given: Inputs, out: Path, *, on_event: OnEvent
) -> tuple[Order, dict[str, Any]]:
    """What is asked for, and the configuration that its result folder is held to."""
    order, wanted = _ordered(options, on_event=on_event)
    if order.corrections is not None and order.corrections.resolve() == out.resolve():
        raise RequestError(f"the corrections of {out} are there already; --corrections names another folder")
    config = config_of(order) | ({"people": wanted.to_json()} if wanted else {})
    config |= {SHARD: str(given.shard)} if given.shard else {}
    config |= {name: True for name in (SMOOTH, INTERPOLATED) if options[name]}  # type: ignore[literal-required]
    config |= {"fps": str(rate_of(options["fps"]))} if options["fps"] is not None else {}
    return order, config


def _ordered(options: ExtractOptions, *, on_event: OnEvent) -> tuple[Order, Wanted | None]:
    """What is asked for, and of whom."""
    wanted = want_people(
        make_flow(options),
        like=references(options["like"]),
        unlike=references(options["unlike"]),
        threshold=options["threshold"],
    )
    order = _flow_order(options, replace(_outputs(options), share=options["share"]), on_event=on_event)
    order = replace(
        order,
        retry_failed=options["retry_failed"],
        corrections=_carried(options),
        scratch_bytes=budget_bytes_of(options["scratch"]),
        cluster=options["cluster"],
    )
    if wanted:  # before there is a folder: a bad reference leaves none
        order = replace(order, people=find_people(order, wanted, on_event=on_event))
    return order, wanted


def _carried(options: ExtractOptions) -> Path | None:
    """The folder whose corrections are wanted, if they make sense: that is not to be seen only at the end."""
    if options["corrections"] is None:
        return None
    folder = Path(options["corrections"])
    for _ in told_in(folder):
        pass
    return folder


def _outputs(options: ExtractOptions | PlanOptions) -> Outputs:
    """What is made of each face."""
    return replace(
        outputs_for(options),
        write_chips=options["chips"],
        mask_size=options["mask_size"],
        overlay=options["overlay"],
        overlay_chips=options["overlay_chips"],
        max_border=max_border_for(options),
    )


def _flow_order(
    options: ExtractOptions | PlanOptions | ProfileOptions, outputs: Outputs, *, on_event: OnEvent
) -> Order:
    """What is asked for of frames, with the file that tells of their faces where that takes a detector's place."""
    if options["aligned"]:
        outputs = replace(outputs, framing=replace(outputs.framing, is_frame=True))
    order = make_order(make_flow(options), outputs, options, on_event=on_event)
    order = replace(order, aligned=options["aligned"])
    return replace(order, faces_file=faces_file_of(options)) if options["detect"] == IMPORT else order


def _look_again(
    order: Order,
    inputs: Inputs,
    out: Path,
    config: Mapping[str, Any],
    started: float,
    *,
    on_event: OnEvent,
    should_stop: ShouldStop,
) -> Summary:
    """A second look at the frames of a result folder in which no face was found."""
    if not order.flow.of("detect"):
        raise RequestError("--only-empty has another detector look at frames, and with these options there is none")
    if not (out / DATABASE).is_file():
        raise RequestError(f"{out} holds no results yet; run the command without --only-empty first")
    with Store(out) as store:
        order, config = settled(order, config, store.configuration.now)
        look = store.configuration.use_look(config)
        return _noted(
            store,
            lambda: run_job(order, inputs, store, look=look, on_event=on_event, should_stop=should_stop),
            started,
        )


def _run(
    order: Order,
    inputs: Inputs,
    out: Path,
    config: Mapping[str, Any],
    started: float,
    *,
    on_event: OnEvent,
    should_stop: ShouldStop,
) -> Summary:
    """Does what is asked for in a result folder of this configuration; also what an extension has left undone."""
    with Store(out, share=order.outputs.share) as store:
        order, config = settled(order, config, store.configuration.now)
        store.configuration.use(config)
        if order.derivation is not None:  # only now: another folder is refused by its configuration
            identity = note_made(order.derivation.folder, CopyKind.DERIVED, out)
            if identity is not None:
                store.mark_derived(identity)
        summary = _noted(
            store, lambda: run_job(order, inputs, store, on_event=on_event, should_stop=should_stop), started
        )
        order = replace(order, cluster=None)  # what is left is little, and reads what is in the folder
        first = store.run_id
        missing = order.flow.part(store.again.stages(first))
        if missing.stages and summary.outcome == "done":
            outputs = replace(order.outputs, write_chips=False, overlay=False, overlay_chips=False)
            rest = replace(
                order, flow=missing, outputs=outputs, choice=EVERY_FACE, faces_file=None, aligned=False, people=None
            )
            summary = _again(store, rest, summary, first, on_event=on_event, should_stop=should_stop)
        if summary.outcome == "done" and order.derivation is None and not order.aligned:
            store.lay_added()
            _remake(store, order, out, on_event=on_event, should_stop=should_stop)
        if order.outputs.write_chips and summary.outcome == "done" and store.find_lost_chips():
            rest = _chips_order(order, out, store.configuration.now or {})
            chips = [CHIP_FILES]
            summary = _again(store, rest, summary, store.run_id, chips, on_event=on_event, should_stop=should_stop)
        return summary


def _remake(store: Store, order: Order, out: Path, *, on_event: OnEvent, should_stop: ShouldStop) -> None:
    """Has networks look anew at faces that somebody added or moved; what they could not do is told, face by face."""
    sources = select_to_make(out)
    if sources:
        config = store.configuration.now or {}
        for text in remake_with(order, out, config, sources, on_event=on_event, should_stop=should_stop).left:
            store.add_event(NOT_REMADE, {"text": text})
            on_event(Notice(kind=NOT_REMADE, text=text))


def _remake_if_possible(
    folder: Path, options: Mapping[str, Any], *, on_event: OnEvent, should_stop: ShouldStop
) -> None:
    """Does the same with the stages that a folder was made with, where these can be had; else it is told why not."""
    told = {name: options[name] for name in declared(RemakeOptions) if name in options}
    try:
        left: Sequence[str] = remake(folder, on_event=on_event, should_stop=should_stop, **told).left
    except FaceloomError as error:
        left = [f"faces that were added or moved are not made anew: {error}"]
    for text in left:
        on_event(Notice(kind=NOT_REMADE, text=text))


def _again(
    store: Store,
    rest: Order,
    summary: Summary,
    sources_of: int,
    stages: Sequence[str] | None = None,
    *,
    on_event: OnEvent,
    should_stop: ShouldStop,
) -> Summary:
    """Does again what frames of a run before miss; how both ended."""
    again = _noted(
        store,
        lambda: run_again(
            rest, store, stages=stages, sources_of=sources_of, on_event=on_event, should_stop=should_stop
        ),
        time.monotonic(),
    )
    return again.after(summary)


def _chips_order(order: Order, out: Path, config: Mapping[str, Any]) -> Order:
    """The chips of faces that are known, as they were cut first: what it takes to make lost files again."""
    derivation = derivation_of(out, config)
    return replace(
        order,
        flow=Flow(()),
        weights={},
        targets=(Target(),),
        choice=EVERY_FACE,
        faces_file=None,
        aligned=False,
        people=None,
        derivation=derivation,
    )


@takes(ExtendOptions)
def extend(
    folder: PathLike,
    *,
    on_event: OnEvent = lambda event: None,
    should_stop: ShouldStop = lambda: False,
    **options: Unpack[ExtendOptions],
) -> Summary:
    """Adds masks or embeddings to the faces of a result folder; nothing is detected or aligned again.

    Frames are read again where they were. Where a source is gone, the chips of its faces take its place, and a notice
    (`from_chips`) says so: what is added is then near to what the frames would have given. Called again with the same
    arguments it goes on where it ended. The folder's configuration has the stages from then on, so that `extract` with
    all of them goes on too. Chips and overlays stay as they are.

    Args:
        folder: a result folder whose faces have landmarks.
        on_event: told how the run goes on.
        should_stop: asked now and then; True ends the run after the chunk in hand.
        options: as docs/options.md lists them.

    Returns:
        How it ended; frames still lacking a stage, since their file has changed or is gone without chips, have failed.

    Raises:
        RequestError: an argument is wrong, or the folder has the stage with other weights.
        TypeError, BudgetError, WeightsError, StageError, StoreError: as `extract`.
    """
    started = time.monotonic()
    order = _extension(options, Path(folder), on_event=on_event)
    with Store(Path(folder)) as store:
        new = store.configuration.add_stages(order.flow.describe())
        try:
            go_on = partial(run_again, order, store, on_event=on_event, should_stop=should_stop)
            summary = _noted(store, go_on, started)
        except BudgetError:  # before the first frame: the folder is as it was
            store.configuration.take_back(new)
            raise
    if summary.outcome == "done":
        _remake_if_possible(Path(folder), options, on_event=on_event, should_stop=should_stop)
    return summary


def _extension(options: ExtendOptions, folder: Path, *, on_event: OnEvent) -> Order:
    """What is asked for of the faces that a result folder has."""
    flow = added_flow(options)
    config = _extensible(folder)
    asked = {**options, "precision": config.get("precision", Precision.FP32.value), **colours_of(config)}
    order = make_order(flow, outputs_of(config), asked, on_event=on_event)
    return replace(order, chips_of=folder) if config.get("chips") else order


def _extensible(folder: Path) -> dict[str, Any]:
    """The configuration of a result folder to whose faces stages can be added."""
    found = read_config(folder)
    if not has_landmarks(folder):
        raise RequestError(
            f"the faces of {folder} have no landmarks, which masks and embeddings are made by; extract anew"
        )
    return found


def _noted(store: Store, work: Callable[[], Summary], started: float) -> Summary:
    """What is done, as a run of the store that has taken its time since it was asked for."""
    store.begin_run(versions=versions())
    try:
        summary = work()
    except BaseException as error:
        store.end_run(outcome=f"{type(error).__name__}: {error}", summary={})
        raise
    summary = replace(summary, seconds=time.monotonic() - started)
    store.end_run(outcome=summary.outcome, summary=summary.to_json())
    return summary


@takes(DeriveOptions)
def derive(
    folder: PathLike,
    out: PathLike,
    *,
    on_event: OnEvent = lambda event: None,
    should_stop: ShouldStop = lambda: False,
    **options: Unpack[DeriveOptions],
) -> Summary:
    """Cuts the chips of a result folder again, in another way, from its sources; no network is run on them.

    But for faces that somebody added or moved and that networks have not seen since: see `remake`.

    The new result folder has the same faces; with `like` and `unlike`, those of other people are marked in it and have
    no chips, for which embeddings have to be there. Called again with the same arguments it goes on where it ended;
    where the other folder has gained faces, theirs come too.

    Args:
        folder: a finished result folder.
        out: a new or empty folder, or one that the same call made before.
        on_event: told how the run goes on.
        should_stop: asked now and then.
        options: as docs/options.md lists them.

    Raises:
        TypeError: there is no such keyword.
        RequestError: an argument is wrong, or the folder is not finished or has no landmarks.
        BudgetError: reading frames does not fit into the memory.
        StoreError: a result folder cannot be read, or written.
    """
    started = time.monotonic()
    refuse_address(out)
    found = _derivable(Path(folder), Path(out))
    if not options["raw"]:
        _remake_if_possible(Path(folder), options, on_event=on_event, should_stop=should_stop)
    order, config = _derivation(options, Path(folder), found, on_event=on_event)
    return _run(order, Inputs(), Path(out), config, started, on_event=on_event, should_stop=should_stop)


def _derivation(
    options: DeriveOptions, folder: Path, found: Mapping[str, Any], *, on_event: OnEvent
) -> tuple[Order, dict[str, Any]]:
    """What is asked for of the faces of a folder with the configuration `found`, and the new folder's configuration."""
    outputs = replace(
        outputs_for(options),
        mask_size=found["mask_size"],
        overlay=options["overlay"],
        overlay_chips=options["overlay_chips"],
        share=options["share"],
    )
    asked = {**options, "device": CPU, **colours_of(found)}
    order = make_order(landmark_masks(found["stages"]), outputs, asked, on_event=on_event)
    derivation = Derivation(
        folder=folder,
        framing=framing_of(found),
        models=models_of(found),
        raw=options["raw"],
        smooth=options["smooth"],
        interpolated=options["interpolated"],
    )
    order = replace(order, derivation=derivation)
    config = _derived_config(found, config_of(order))
    config |= {INTERPOLATED: True} if options["interpolated"] else {}
    wanted, people = _people_of(folder, found, options, on_event=on_event)
    if wanted is not None:
        order = replace(order, people=people)
        before = {"before": found["people"]} if "people" in found else {}
        config |= {"people": {**wanted.to_json(), **before}}
    return order, config


def _people_of(
    folder: Path, config: Mapping[str, Any], options: DeriveOptions, *, on_event: OnEvent
) -> tuple[Wanted | None, People | None]:
    """Whose faces of a result folder are kept, if not everybody's."""
    like, unlike = references(options["like"]), references(options["unlike"])
    if not like and not unlike and options["threshold"] is None:
        return None, None
    flow = recognising_flow(config["stages"], options["weights"], folder=folder)
    wanted = want_people(flow, like=like, unlike=unlike, threshold=options["threshold"])
    assert wanted is not None  # it refuses a threshold alone
    asked = {
        **options,
        "device": CPU,
        "precision": config.get("precision", Precision.FP32.value),
        **colours_of(config),
    }
    return wanted, find_people(make_order(flow, Outputs(), asked, on_event=on_event), wanted, on_event=on_event)


def _derived_config(found: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """What a result folder is held to whose chips are cut in another way: what its faces and its chips depend on."""
    same = {name: value for name, value in found.items() if name not in _OF_CHIPS}
    chosen = {name: value for name, value in asked.items() if name not in {"results", "stages"}}
    return {**same, **chosen, "derived": True}


def _derivable(before: Path, after: Path) -> dict[str, Any]:
    """The configuration of a result folder whose chips can be cut again."""
    if before.resolve() == after.resolve():
        raise RequestError(f"{after} holds the faces that chips are to be cut of; choose another folder for the chips")
    found = read_config(before)
    if not found.get("stages") or found.get("derived"):
        raise RequestError(f"{before} was not made by faceloom extract; derive from the folder that was")
    if not has_landmarks(before):
        raise RequestError(f"the faces of {before} have no landmarks to cut chips by; extract with an aligner")
    return found


@takes(PlanOptions)
def plan(
    inputs: PathLike | Iterable[PathLike],
    *,
    on_event: OnEvent = lambda event: None,
    **options: Unpack[PlanOptions],
) -> Forecast:
    """Plans what `extract` would do with the same arguments: frames are counted, and a few of them looked at.

    A budget that is too small is part of the answer. How long a run takes depends on how many faces there are and on
    how dear reading is. So the detector is run on up to 32 frames, if it has been measured on this machine; with
    `look=False` nothing is run.

    Args:
        inputs: files or folders, as for `extract`.
        on_event: told how the counting goes on.
        options: as docs/options.md lists them.

    Raises:
        TypeError, RequestError, MediaError, WeightsError, StageError: as `extract`.
    """
    budgets = [size for item in options["what_if"] if (size := budget_bytes_of(item)) is not None]
    order = _flow_order(options, _outputs(options), on_event=on_event)
    given = inputs_of(inputs, options)
    if given.remote:
        raise RequestError("a plan takes files of this machine; fetch some of the remote ones first")
    kinds = read_nodes(Path(options["nodes"])) if options["nodes"] is not None else ()
    return forecast(order, given, budgets, looks=options["look"], kinds=kinds, on_event=on_event)


@takes(ProfileOptions)
def profile(
    inputs: PathLike | Iterable[PathLike] = (),
    *,
    on_event: OnEvent = lambda event: None,
    **options: Unpack[ProfileOptions],
) -> dict[str, Footprint]:
    """Measures what every stage costs on this machine, and keeps it for the runs to come.

    Args:
        inputs: files or folders whose largest frame is what the detector is measured with; 1080p if left out.
        on_event: told how the measuring goes on.
        options: as docs/options.md lists them.

    Returns:
        The footprint of each stage that runs a network, by its name.

    Raises:
        TypeError, RequestError, WeightsError, StageError: as `extract`.
    """
    order = _flow_order(options, Outputs(), on_event=on_event)
    paths = [Path(inputs)] if isinstance(inputs, str | Path) else [Path(item) for item in inputs]
    return measure_now(order, Inputs(roots=tuple(existing(paths) if paths else ())), on_event=on_event)


@takes(StreamOptions)
def stream(
    inputs: PathLike | Iterable[PathLike | Image],
    **options: Unpack[StreamOptions],
) -> Iterator[Frame]:
    """Yields every frame of the inputs with its faces, in order, writing no files and in constant memory.

    Below a ceiling (`memory`) the process stays within it, with what it holds already: in one pass if everything fits,
    otherwise in several, chunk by chunk.

    Args:
        inputs: files, folders, or images as (H, W, 3) uint8 RGB arrays, also from a generator that never ends; live
            sources: `camera:0`, an address as in rtsp://host/path, `-` for standard input, and numbered pictures as in
            frame_%04d.png.
        options: as docs/options.md lists them.

    Yields:
        Frames as `Frame`, with `faces`; one that cannot be read has an empty image and says why in `problem`. Of a
        source that never ends `problem` also says how many frames were dropped before one, not to be late.

    Raises:
        TypeError: there is no such keyword.
        RequestError: an argument is wrong.
        BudgetError: the work does not fit below the ceiling; the message says what would do.
        WeightsError: a network is neither on this machine nor to be had.
        StageError: a stage cannot be loaded or breaks its contract.
    """
    from faceloom.live_runs import PassRun
    from faceloom.worker.live import LiveWorker

    order = _live_order(options, "a stream has no faces from a file; use extract, or name a detector")
    live = _live_settings(options)
    if order.memory_bytes is not None:
        _refuse_live(inputs)
        with PassRun(order, inputs, keeps_frames=True, on_event=lambda event: None) as run:
            yield from run.frames()
        return
    items = [inputs] if isinstance(inputs, str | Path) else inputs
    with LiveWorker(_live_job(order), order.excerpt, live=live) as worker:
        yield from worker.frames(items)


def _live_job(order: Order) -> Job:
    """The work of this process on frames as they come: all networks at once."""
    names = [stage.name for stage in order.flow.networks]
    return Job(
        flow=order.flow,
        weights=order.weights,
        plan=one_phase(names, chunk_frames=1, lanes=1 if order.flow.is_in_order else min(order.cores, MOST_LANES)),
        outputs=order.outputs,
        in_flight_bytes=IN_FLIGHT_BYTES,
        choice=order.choice,
        raw_colours=order.raw_colours,
        engine=EngineJob(runtime=order.runtime),
    )


@takes(PassesOptions)
def passes(
    inputs: PathLike | Iterable[PathLike | Image],
    *,
    on_event: OnEvent = lambda event: None,
    **options: Unpack[PassesOptions],
) -> "PassRun":
    """Finds faces pass by pass in this process, with the caller's own code between passes; writes no files.

    To be used in a `with` block, over which a loop gives the passes of the plan, one after the other. A loop over a
    pass gives the frames, in order, with what is known of their faces by then:

        with faceloom.passes("clip.mp4", memory="400MiB", identify="arcface") as run:
            for p in run:
                print(p.text)
                for frame in p:
                    if p.is_last:
                        print(frame.id, [face.embedding for face in frame.faces])

    Where all networks fit together there is one pass; otherwise only those of one pass are in memory. Frames have
    their pixels in the first pass and none later: between passes only patches are kept, and where those of all frames
    would not fit, the passes come again for each chunk of frames.

    Args:
        inputs: as for `stream`.
        on_event: told how inputs are counted and stages measured.
        options: as docs/options.md lists them.

    Returns:
        The run; its `plan` is made when the `with` block begins.

    Raises:
        TypeError, RequestError, WeightsError, StageError: as `stream`.
        BudgetError: when the block begins, the work does not fit; the message says what would do.
    """
    from faceloom.live_runs import PassRun

    order = _live_order(options, "passes have no faces from a file; use extract, or name a detector")
    return PassRun(order, inputs, keeps_frames=False, on_event=on_event)


def _live_settings(options: StreamOptions) -> "LiveSettings":
    """What is told of live sources."""
    from faceloom.media.live import LiveSettings, size_of

    return LiveSettings(size=size_of(options["frame_size"]), rate=options["fps"], reconnect_s=options["reconnect"])


def _refuse_live(inputs: PathLike | Iterable[PathLike | Image]) -> None:
    """Refuses live sources below a ceiling, which is planned for by the frames that there are."""
    from faceloom.media.live import is_live

    named = [inputs] if isinstance(inputs, str) else inputs if isinstance(inputs, list | tuple) else []
    for item in named:
        if isinstance(item, str) and is_live(item):
            raise RequestError(f"{item} is live, and nobody can plan for frames that are not known; leave out memory")


def _live_order(options: StreamOptions | PassesOptions, refusal: str) -> Order:
    """What is asked for of frames that come to the caller."""
    if options["detect"] == IMPORT:
        raise RequestError(refusal)
    outputs = Outputs(mask_size=options["mask_size"], framing=framing_for(options), max_border=max_border_for(options))
    return make_order(make_flow(options), outputs, options, on_event=lambda event: None)


@takes(ChipCutOptions)
def chip(face: Face, **options: Unpack[ChipCutOptions]) -> Image:
    """Cuts the aligned chip (size, size, 3) of a face that `stream` yielded; with 4 channels if it is transparent.

    Masks cover the square of this chip if `stream` was told the same; unless it was told `whole`, it keeps of the frame
    what `head` shows, and a larger chip repeats the edge of that. Beyond the frame there is the border.

    The chips of a result folder are in files, which `Results.chip` reads.

    Args:
        face: of a flow with an aligner.
        options: as docs/options.md lists them.

    Raises:
        TypeError: there is no such keyword.
        RequestError: the face has no landmarks, since the flow has no aligner, or no pixels any more; or there is no
            such crop.
    """
    from faceloom.pipeline.faces import cut_kept_chip

    if face.landmarks is None:
        raise RequestError(f"{face} has no landmarks to cut a chip by; stream with an aligner")
    if face.patch is None:
        raise RequestError(f"{face} has no pixels to cut a chip of; results.chip(face) reads that of a result folder")
    size, border = options["size"], border_for(options) or Border.BLACK
    face_to_chip = frame_to_chip(face.landmarks, size=size, framing=framing_for(options))
    return cut_kept_chip(face, face_to_chip, size=size, border=border)


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
    if origin.folder is not None:
        note_made(origin.folder, CopyKind.EXPORT, target)  # which forgetting will name
