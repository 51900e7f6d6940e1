"""Remaking: networks look anew at faces that somebody added or moved, as the run would have that made the folder."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from faceloom.align import Aligner
from faceloom.choices import Precision
from faceloom.errors import RequestError
from faceloom.events import Counting, Event, Notice, OnEvent, Progress
from faceloom.flow import Flow, build_flow
from faceloom.job import Order, Outputs
from faceloom.media.excerpts import WHOLE
from faceloom.options.calls import RemakeOptions
from faceloom.options.keywords import takes
from faceloom.options.stages import PathLike
from faceloom.orders.configuration import colours_of
from faceloom.orders.flows import KNOWN, own_weights
from faceloom.orders.order import make_order
from faceloom.orders.outputs import outputs_of
from faceloom.selection import EVERY_FACE
from faceloom.store.reading import read_config, read_faces
from faceloom.store.remaking import SourceToRead, select_to_make, take_made
from faceloom.store.rows import FaceRow
from faceloom.store.store import Store
from faceloom.supervisor.inputs import ShouldStop
from faceloom.supervisor.run import run_listed

_FACES_AT_ONCE = 1000
"""What is made is kept after about so many."""
_DETECTOR = "detect/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remade:
    """What has come of looking anew at faces."""

    faces: int = 0
    """Of which networks have made what there is to be made."""
    left: tuple[str, ...] = ()
    """Those of which they have not, each with the reason."""

    def to_json(self) -> dict[str, Any]:
        """Gives it as `faceloom correct DIR remake --json` prints it."""
        return {"faces": self.faces, "left": list(self.left)}


@takes(RemakeOptions)
def remake(
    folder: PathLike,
    *,
    on_event: OnEvent = lambda event: None,
    should_stop: ShouldStop = lambda: False,
    **options: Unpack[RemakeOptions],
) -> Remade:
    """Makes landmarks, masks, embeddings and quality anew of faces that were added or moved and not looked at since.

    They become what the run that made the folder would have made of these boxes, or of these landmarks where somebody
    said where they are. The next run of its command does the same; this is for who wants to see it at once.

    Args:
        folder: a result folder; a run may be writing to it.
        on_event: told how it goes on.
        should_stop: asked now and then.
        options: as docs/options.md lists them.

    Raises:
        TypeError: there is no such keyword.
        RequestError: an argument is wrong, or a stage had weights that are not named here.
        BudgetError, WeightsError, StageError, StoreError: as `extract`.
    """
    sources = select_to_make(Path(folder))
    if not sources:
        return Remade()
    config = read_config(Path(folder))
    flow = _flow_of(config, options["weights"])
    asked = {**options, "precision": config.get("precision", Precision.FP32.value), **colours_of(config)}
    order = make_order(flow, outputs_of(config), asked, on_event=on_event)
    return remake_with(order, Path(folder), config, sources, on_event=on_event, should_stop=should_stop)


def remake_with(
    order: Order,
    folder: Path,
    config: Mapping[str, Any],
    sources: Sequence[SourceToRead],
    *,
    on_event: OnEvent,
    should_stop: ShouldStop,
) -> Remade:
    """Does the same with the stages of an order, whose detector is not asked."""
    order = _for_known(order, config)
    left = [f"{face}: its source {source.problem}" for source in sources if source.problem for face in source.faces]
    done = 0
    for some in _parts([source for source in sources if not source.problem]):
        if should_stop():
            break
        made, reasons = _made(order, some, on_event=on_event, should_stop=should_stop)
        without = take_made(folder, some, made)
        done += sum(len(source.faces) for source in some) - len(without)
        left += [f"{face}: {reasons.get(str(face.frame), 'nothing was made of it')}" for face in without]
    return Remade(faces=done, left=tuple(left))


def _flow_of(config: Mapping[str, Any], paths: Mapping[str, PathLike]) -> Flow:
    """The stages of a result folder without its detector.

    Raises:
        RequestError: one had weights of the user's own, and no file of this content is named.
    """
    told = {stage: options for stage, options in config.get("stages", {}).items() if not stage.startswith(_DETECTOR)}
    options = {stage: {key: value for key, value in one.items() if key != "weights"} for stage, one in told.items()}
    has_aligner = any(stage.startswith("align/") for stage in told)
    own = own_weights(paths, list(told))
    flow = build_flow(list(told), options, own, known=frozenset({"boxes"}) if has_aligner else KNOWN)
    for stage in flow.stages:
        if flow.digests.get(stage.name) != told[stage.name].get("weights"):
            raise RequestError(
                f"{stage.name} of this folder had other weights; name them with --weights {stage.name}=FILE, or run the"
                " command again that made the folder"
            )
    return flow


def _for_known(order: Order, config: Mapping[str, Any]) -> Order:
    """The order for faces that are known, of which somebody has said that they are wanted."""
    stages = (stage for stage in order.flow.stages if stage.plugin.kind != "detect")
    flow = Flow(
        tuple(
            replace(stage, plugin=replace(stage.plugin, filters=())) if isinstance(stage.plugin, Aligner) else stage
            for stage in stages
        )
    )
    size = (config.get("chips") or {}).get("size", Outputs().chip_size)
    outputs = replace(order.outputs, write_chips=False, overlay=False, overlay_chips=False, max_border=None)
    return replace(
        order,
        flow=flow,
        outputs=replace(outputs, chip_size=size),
        excerpt=WHOLE,
        choice=EVERY_FACE,
        faces_file=None,
        people=None,
        corrections=None,
        derivation=None,
    )


def _parts(sources: Sequence[SourceToRead]) -> Iterator[list[SourceToRead]]:
    """Sources, so many at a time that what is made of them is kept now and then."""
    part: list[SourceToRead] = []
    for source in sources:
        part.append(source)
        if sum(len(one.faces) for one in part) >= _FACES_AT_ONCE:
            yield part
            part = []
    if part:
        yield part


def _made(
    order: Order, sources: Sequence[SourceToRead], *, on_event: OnEvent, should_stop: ShouldStop
) -> tuple[list[FaceRow], dict[str, str]]:
    """What a run makes of these faces; and, by frame, why it makes nothing."""

    def tell(event: Event) -> None:
        if not isinstance(event, Counting | Progress | Notice):  # which are about a job of the user's
            on_event(event)

    with tempfile.TemporaryDirectory(prefix="faceloom-remaking-") as scratch:
        with Store(Path(scratch)) as store:
            store.begin_run(versions={})
            store.lay_out(sources)
            summary = run_listed(order, store, on_event=tell, should_stop=should_stop)
        reasons = dict(text.partition(": ")[::2] for text in summary.failures)
        return [face for face, _ in read_faces(Path(scratch))], reasons
