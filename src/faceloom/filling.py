"""Filling: a detector looks again, more closely, where a track misses its face; unseen, the face is laid there."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.align import Aligner
from faceloom.choices import ChipFormat, Precision
from faceloom.detect import Detector
from faceloom.errors import FaceloomError, RequestError
from faceloom.faces import Face, Image
from faceloom.flow import Flow, build_flow
from faceloom.geometry.borders import made_up_share
from faceloom.geometry.chips import frame_to_chip
from faceloom.geometry.pose import fit_pose
from faceloom.job import EngineJob, Job, Order, Outputs
from faceloom.media.chunks import PendingFrame, Unreadable, cut_chunks
from faceloom.orders.configuration import colours_of
from faceloom.orders.flows import own_weights
from faceloom.orders.order import make_order
from faceloom.solver.plan import one_phase
from faceloom.stage import Plugin
from faceloom.store.configuration import INTERPOLATED, framing_of
from faceloom.store.gaps import MissingFace
from faceloom.store.rows import FaceRow
from faceloom.supervisor.in_process import MOST_LANES
from faceloom.tracking.gaps import Mark, choose

_LOOK_PX = 384
"""Side of the picture in which a face is looked for."""
_SIDES = 3.0
"""How many times the longer side of the face it shows."""
_MIN_SCORE = 0.3
"""Of a face that is where its track says, half of what is asked of one anywhere (docs/tracks.md)."""
_IN_FLIGHT_BYTES = 16 << 20
_FRAMES_A_SPAN = 64


@dataclass(frozen=True, slots=True)
class _Square:
    """A square of a frame, and how it is looked at."""

    x: int
    y: int
    side: int

    def to_frame(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points (..., 2) of the picture, in pixels of the frame."""
        factor = self.side / _LOOK_PX
        return np.asarray((points + 0.5) * factor - 0.5 + np.array([self.x, self.y]), np.float32)


def look_order(config: Mapping[str, Any], options: Mapping[str, Any]) -> Order | None:
    """What looks again: the detector of a result folder, its aligner and its identifier.

    None: the folder was made without a detector.

    Raises:
        RequestError: a stage had weights of the user's own, and no file of this content is named.
        WeightsError: a network is neither on this machine nor to be had.
    """
    stages = {name: told for name, told in config.get("stages", {}).items() if not name.startswith("mask/")}
    if not any(name.startswith("detect/") for name in stages):
        return None
    told = {name: {key: one for key, one in some.items() if key != "weights"} for name, some in stages.items()}
    flow = build_flow(list(told), told, own_weights(options["weights"], list(told)))
    for stage in flow.stages:
        if flow.digests.get(stage.name) != stages[stage.name].get("weights"):
            raise RequestError(
                f"{stage.name} of this folder had other weights; name them with --weights {stage.name}=FILE"
            )
    flow = Flow(tuple(replace(stage, plugin=_closer(stage.plugin)) for stage in flow.stages))
    asked = {**options, "precision": config.get("precision", Precision.FP32.value), **colours_of(config)}
    return make_order(flow, Outputs(write_chips=False), asked, on_event=lambda event: None)


def _closer(plugin: Plugin) -> Plugin:
    """A plugin as it looks at a square."""
    if isinstance(plugin, Detector):
        plugin = replace(plugin, turns=(), turns_by_signs=False, tile_px=0, enlarge=1.0, detect_every=1)
        return replace(plugin, min_score=min(_MIN_SCORE, plugin.min_score), longest_side=_LOOK_PX)
    return replace(plugin, filters=()) if isinstance(plugin, Aligner) else plugin


class Filling:
    """Makes the faces that tracks miss of one result folder."""

    def __init__(self, order: Order | None, config: Mapping[str, Any]) -> None:
        self._order = order
        self._framing = framing_of(config)
        self._chips = config.get("chips")
        self._marks = {Mark.FILLED, Mark.INTERPOLATED} if config.get(INTERPOLATED) else {Mark.FILLED}

    def made(
        self, missing: Sequence[MissingFace], frames: Iterable[PendingFrame], known: Mapping[int, NDArray[np.float32]]
    ) -> list[tuple[MissingFace, FaceRow]]:
        """The faces that are missing, found or laid, in order.

        Args:
            missing: sorted by frame.
            frames: of the video in which they are missing, in order; in those that cannot be read all are laid.
            known: boxes (N, 4) of the faces that those frames have.
        """
        of_frames = {index: list(some) for index, some in groupby(missing, key=lambda one: one.expected.frame)}
        looked: deque[tuple[MissingFace, _Square]] = deque()
        boxes = {index: list(some) for index, some in known.items()}
        found: dict[MissingFace, FaceRow] = {}
        for faces in self._looks(self._squares(of_frames, frames, looked)):
            one, square = looked.popleft()
            others = np.array(boxes.get(one.expected.frame, []), np.float32).reshape(-1, 4)
            row = self._seen(one, square, faces, others)
            if row is not None:
                boxes.setdefault(one.expected.frame, []).append(row.box)
                found[one] = row
        return [(one, self._laid(found.get(one) or _interpolated(one), one)) for one in missing]

    def _squares(
        self,
        of_frames: Mapping[int, Sequence[MissingFace]],
        frames: Iterable[PendingFrame],
        looked: deque[tuple[MissingFace, _Square]],
    ) -> Iterator[Image]:
        """What is looked at, frame by frame; what of it is in hand stands in `looked`."""
        from faceloom.media.reading import FrameReader  # decoders take time and memory that planning need not

        assert self._order is not None
        with FrameReader(raw_colours=self._order.raw_colours) as reader:
            for spans in cut_chunks(frames, frames_a_chunk=lambda: _FRAMES_A_SPAN):
                for read in reader.reads(spans):
                    frame = read()
                    if isinstance(frame, Unreadable):
                        continue
                    for one in of_frames.get(frame.id.index, ()):
                        square, picture = _cut(frame.image, one.expected.box)
                        looked.append((one, square))
                        yield picture

    def _looks(self, pictures: Iterator[Image]) -> Iterator[Sequence[Face]]:
        """What is found in each of the pictures, in order."""
        order = self._order
        if order is None:  # nothing can be seen, so nothing is read
            return
        if order.memory_bytes is not None:
            from faceloom.live_runs import PassRun

            with PassRun(order, pictures, keeps_frames=False, on_event=lambda event: None) as run:
                yield from (frame.faces for frame in run.frames())
            return
        from faceloom.worker.live import LiveWorker

        names = [stage.name for stage in order.flow.networks]
        job = Job(
            flow=order.flow,
            weights=order.weights,
            plan=one_phase(names, chunk_frames=1, lanes=min(order.cores, MOST_LANES)),
            outputs=order.outputs,
            in_flight_bytes=_IN_FLIGHT_BYTES,
            choice=order.choice,
            raw_colours=order.raw_colours,
            engine=EngineJob(runtime=order.runtime),
        )
        with LiveWorker(job) as worker:
            yield from (frame.faces for frame in worker.frames(pictures))

    def _seen(
        self, one: MissingFace, square: _Square, faces: Sequence[Face], others: NDArray[np.float32]
    ) -> FaceRow | None:
        """The face that was found where one is missing, if any was."""
        boxes = np.array([square.to_frame(face.box.reshape(2, 2)).ravel() for face in faces], np.float32).reshape(-1, 4)
        best = choose(one.expected.box, boxes, [face.score for face in faces], others)
        if best is None:
            return None
        face = faces[best]
        return FaceRow(
            frame=one.frame,
            index=one.index,
            box=boxes[best],
            score=face.score,
            keypoints=None if face.keypoints is None else square.to_frame(face.keypoints),
            landmarks=None if face.landmarks is None else square.to_frame(face.landmarks),
            confidence=face.confidence,
            embedding=face.embedding,
            track=one.track,
            mark=Mark.FILLED,
        )

    def _laid(self, row: FaceRow, one: MissingFace) -> FaceRow:
        """With what follows from its landmarks."""
        if row.landmarks is None:
            return row
        size = self._chips["size"] if self._chips else Outputs().chip_size
        try:
            affine = frame_to_chip(row.landmarks, size=size, framing=self._framing)
            pose = fit_pose(row.landmarks)
        except FaceloomError:  # landmarks that no chip can be laid by
            return row
        share = None
        if one.shape is not None:
            share = made_up_share(affine, size=size, height=one.shape[0], width=one.shape[1])
        from faceloom.pipeline.finishing import chip_path

        path = None
        if self._chips and row.mark in self._marks:
            path = chip_path(row.frame, row.index, ChipFormat(self._chips["format"]))
        return replace(row, frame_to_chip=affine, pose=pose, made_up=share, chip=path)


def _interpolated(one: MissingFace) -> FaceRow:
    return FaceRow(
        frame=one.frame,
        index=one.index,
        box=one.expected.box,
        score=0.0,
        keypoints=one.expected.keypoints,
        landmarks=one.expected.landmarks,
        track=one.track,
        mark=Mark.INTERPOLATED,
    )


def _cut(image: Image, box: NDArray[np.float32]) -> tuple[_Square, Image]:
    """The square around a box as it is looked at; black beyond the frame."""
    import cv2

    x0, y0, x1, y1 = box.tolist()
    side = max(8, round(_SIDES * max(x1 - x0, y1 - y0)))
    square = _Square(round((x0 + x1 - side) / 2), round((y0 + y1 - side) / 2), side)
    height, width = image.shape[:2]
    left, top = max(0, square.x), max(0, square.y)
    right, bottom = max(left, min(width, square.x + side)), max(top, min(height, square.y + side))
    picture = np.zeros((side, side, 3), np.uint8)
    part = image[top:bottom, left:right]
    if part.size:
        picture[top - square.y : bottom - square.y, left - square.x : right - square.x] = part
    how = cv2.INTER_AREA if side > _LOOK_PX else cv2.INTER_CUBIC
    return square, np.asarray(cv2.resize(picture, (_LOOK_PX, _LOOK_PX), interpolation=how), np.uint8)
