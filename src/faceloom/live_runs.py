"""Runs in the caller's process: what there is to do is looked up, planned, and done pass by pass within a budget."""

import gc
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from faceloom.errors import BudgetError, RequestError
from faceloom.events import OnEvent
from faceloom.faces import Image
from faceloom.frame import Frame
from faceloom.job import Order
from faceloom.media.listing import Inputs
from faceloom.media.sources import Shape, SourceKind
from faceloom.memory.usage import held_bytes
from faceloom.options.stages import PathLike
from faceloom.orders.inputs import existing
from faceloom.pipeline.lanes import StarvedError
from faceloom.solver.plan import Plan
from faceloom.supervisor.costs import frames_together
from faceloom.supervisor.forecast import with_inputs
from faceloom.supervisor.in_process import UNKNOWN_FRAMES, Alike, plan_here
from faceloom.targets import read_budget
from faceloom.worker.passes import Pass, PassWorker

PathsOrImages = PathLike | Iterable[PathLike | Image]


class PassRun:
    """A run in this process, pass by pass: iterate over it once, inside a `with` block, for its passes.

    Everything is planned when the block begins. What the process holds by then is part of the budget.
    """

    def __init__(self, order: Order, inputs: PathsOrImages, *, keeps_frames: bool, on_event: OnEvent) -> None:
        """A run over files, folders and images; frames keep their pixels to their last pass with `keeps_frames`."""
        self._order = order
        self._inputs: Iterable[PathLike | Image] = [inputs] if isinstance(inputs, str | Path) else inputs
        self._keeps_frames = keeps_frames
        self._on_event = on_event
        self._worker: PassWorker | None = None
        self._plan: Plan | None = None

    @property
    def plan(self) -> Plan:
        """The plan that is followed.

        Raises:
            RequestError: the `with` block has not begun.
        """
        if self._plan is None:
            raise RequestError("passes are planned when their `with` block begins: with faceloom.passes(...) as run")
        return self._plan

    def __enter__(self) -> Self:
        order = self._order
        _import_all(order)
        listing, self._inputs = _listed(order, self._inputs, self._on_event)
        job = plan_here(order, listing, keeps_frames=self._keeps_frames, on_event=self._on_event)
        self._plan = job.plan
        together = job.plan.lanes * frames_together(job.plan, order.flow)
        self._worker = PassWorker(job, order.excerpt, together=together, keeps_frames=self._keeps_frames)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._worker is not None:
            self._worker.__exit__(kind, error, trace)
            self._worker = None

    def __iter__(self) -> Iterator[Pass]:
        if self._worker is None:
            raise RequestError("passes are there inside their `with` block: with faceloom.passes(...) as run")
        try:
            yield from self._worker.passes(self._inputs)
        except StarvedError as error:
            raise BudgetError(f"{error}; raise memory", stage="reading") from error

    def frames(self) -> Iterator[Frame]:
        """Every frame of the inputs with all that is found, in order."""
        for one in self:
            for frame in one:
                if one.is_last:
                    yield frame


def _import_all(order: Order) -> None:
    """Imports what the work needs, so that what that takes is counted as held, and nothing that has been freed."""
    import av  # noqa: F401
    import cv2  # noqa: F401

    from faceloom.engines.heap import trim_heap
    from faceloom.engines.start import start_engine

    start_engine(order.runtime)
    gc.collect()
    trim_heap()


def _listed(
    order: Order, inputs: Iterable[PathLike | Image], on_event: OnEvent
) -> tuple[Alike, Iterable[PathLike | Image]]:
    """What is known of the frames of inputs, and the inputs: of an iterator only the first is looked at."""
    if isinstance(inputs, Sequence):
        return _alike(order, inputs, on_event), inputs
    rest = iter(inputs)
    first = list(next(([item] for item in rest), []))
    known = _alike(order, first, on_event)
    return Alike(known=known.known, number=UNKNOWN_FRAMES), chain(first, rest)


def _alike(order: Order, inputs: Sequence[PathLike | Image], on_event: OnEvent) -> Alike:
    images = [item for item in inputs if isinstance(item, np.ndarray)]
    shapes = {(SourceKind.PICTURE, _shape_of(image)) for image in images}
    number = len(images)
    paths = [item for item in inputs if not isinstance(item, np.ndarray)]
    if paths:
        budget = read_budget(order.memory_bytes, order.targets, reserve_bytes=order.reserve_bytes)
        worker_bytes = max(1, budget.host_bytes - held_bytes())
        with with_inputs(order, Inputs(roots=tuple(existing(paths))), worker_bytes=worker_bytes, on_event=on_event) as (
            store,
            _,
        ):
            shapes |= set(store.frames.shapes())
            number += store.frames.counts().pending
    return Alike(known=sorted(shapes, key=repr), number=max(1, number))


def _shape_of(image: Image) -> Shape:
    """An image is in memory already, and takes nothing to read."""
    if image.ndim != 3:
        raise RequestError(f"an image has to be (H, W, 3) uint8 RGB, not {image.shape} {image.dtype}")
    return Shape(height=image.shape[0], width=image.shape[1], reading_bytes=0)
