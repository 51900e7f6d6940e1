"""What there is to do in a run, and what each of its networks costs in it: footprints become the solver's numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

from faceloom.canvases import scratch_bytes
from faceloom.detect import Detector
from faceloom.flow import Flow
from faceloom.geometry.chips import WAITING_BYTES
from faceloom.memory.footprints import Footprint, HostFootprint
from faceloom.solver.plan import Plan
from faceloom.solver.problem import HostCost, HostShare, StageCost
from faceloom.stage import Stage

WAITING_LANES = 2
"""Of the lanes of a worker on a device: the one whose call runs there, and the one whose inputs are there already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The work of a run, as far as a plan depends on it."""

    frames: int
    frame_bytes: int
    """The size of the largest frame as RGB."""
    heap_frame_bytes: int = 0
    """That of the largest frame that is small enough for a heap to keep its block when it is freed."""
    is_one_frame: bool = False
    """Whether the whole run, and not only what is left of it, is a single frame."""
    less_bytes: tuple[int, ...] = ()
    """By how much less than that one takes each of the largest frames, the first 0: no two workers do the same one."""
    decoder_bytes: int
    """The most that a decoder holds between frames."""
    reading_bytes: int
    """The most that reading a frame or making a chip takes besides, for a moment."""
    faces_a_frame: float
    kept_bytes_a_frame: float
    """The size of a frame's patches that wait for the next phase, as expected."""
    decode_s: float
    """The seconds of one core that reading a frame takes."""
    face_s: float = 0.0
    """Those that a face takes besides its networks: cutting, encoding."""
    has_videos: bool = True
    """Whether any of the frames may be a video's: where none is, workers do not load what reads them."""
    looks_a_frame: float = 1.0
    """How often a detector is expected to look at a frame, counted in canvases of the largest size."""

    @property
    def host_s(self) -> float:
        """The seconds that a frame takes besides its networks, whatever the plan is."""
        return self.decode_s + self.faces_a_frame * self.face_s


def stage_costs(
    flow: Flow, footprints: Mapping[str, Footprint], work: Work, *, lanes: int = 1
) -> tuple[StageCost, ...]:
    """What each network costs in this run; the frames that wait for a detector's batch count as its own.

    Args:
        lanes: of a worker on a device beside its host: each may have a batch in hand, while one waits for the device.
    """
    return tuple(_stage_cost(flow, stage, footprints[stage.name], work, lanes) for stage in flow.networks)


def _stage_cost(flow: Flow, stage: Stage, footprint: Footprint, work: Work, lanes: int) -> StageCost:
    plugin = stage.plugin
    reads_frames = isinstance(plugin, Detector)
    scratch = scratch_bytes(plugin, work.frame_bytes) if isinstance(plugin, Detector) else 0
    networks = {other.name for other in flow.networks}
    waiting = work.frame_bytes if reads_frames else 0
    host = footprint.host
    return StageCost(
        stage=stage.name,
        needs=flow.needs(stage) & networks,
        reads_frames=reads_frames,
        weights_bytes=footprint.weights_bytes,
        load_spike=footprint.load_spike,
        load_s=footprint.load_s,
        fixed_bytes=footprint.fixed_bytes + (0 if host else scratch),
        item_bytes=footprint.item_bytes + (0 if host else waiting),
        items_per_frame=work.looks_a_frame if reads_frames else work.faces_a_frame,
        batch_s=dict(footprint.batch_s),
        arena_fixed_bytes=0 if host else footprint.arena_fixed_bytes,
        arena_item_bytes=0 if host else footprint.arena_item_bytes,
        host=_host_share(host, waiting, scratch, lanes) if host else HostShare(),
        on_host=_host_cost(footprint.on_host, waiting, scratch, lanes) if host and footprint.on_host else None,
    )


def _host_share(host: HostFootprint, waiting_bytes: int, scratch_bytes: int, lanes: int) -> HostShare:
    return HostShare(
        weights_bytes=host.weights_bytes,
        spike_bytes=host.spike_bytes,
        fixed_bytes=lanes * (host.fixed_bytes + scratch_bytes),
        item_bytes=lanes * (host.item_bytes + waiting_bytes),
        item_s=host.item_s / at_work(lanes),
    )


def frames_together(plan: Plan, flow: Flow) -> int:
    """How many frames are in hand at once for each lane: those that a detector takes together.

    What waits for the other networks is faces, whatever their batches are.
    """
    detectors = {stage.name for stage in flow.of("detect")}
    return max((one.batch for one in plan.phases[0].placements if one.stage in detectors), default=1)


def in_flight_bytes(plan: Plan, flow: Flow, frame_bytes: int) -> int:
    """What may be in flight in a worker before it reads another frame.

    What is planned has room for the frames that a detector takes together, once for each lane. A single lane reads only
    while one of them is wanting. Faces that wait for a call of several may hold `WAITING_BYTES` for each lane.
    """
    first = plan.phases[0].placements if flow.of("detect") else ()
    faces = max((placement.batch for placement in first), default=1)
    waiting = min(faces * frame_bytes, WAITING_BYTES)
    frames = frames_together(plan, flow)
    if plan.lanes > 1:
        return plan.lanes * max(frames * frame_bytes, waiting)
    return (frames - 1) * frame_bytes + waiting


def at_work(lanes: int) -> int:
    """How many lanes of a worker on a device work on the host, while the others wait for the device."""
    return max(1, lanes - WAITING_LANES)


def _host_cost(footprint: Footprint, waiting_bytes: int, scratch_bytes: int, lanes: int) -> HostCost:
    return HostCost(
        weights_bytes=footprint.weights_bytes,
        load_spike=footprint.load_spike,
        load_s=footprint.load_s,
        fixed_bytes=lanes * (footprint.fixed_bytes + scratch_bytes),
        item_bytes=lanes * (footprint.item_bytes + waiting_bytes),
        batch_s=dict(footprint.batch_s),
    )
