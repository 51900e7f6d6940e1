"""Problems written as `read_problem` reads them."""

from dataclasses import asdict
from typing import Any

from faceloom.solver.problem import HostCost, HostShare, Problem, StageCost


def problem_to_json(problem: Problem) -> dict[str, Any]:
    """Returns the problem as `read_problem` reads it, with the seconds of calls as a table."""
    return {
        "frames": problem.frames,
        "budget_bytes": problem.budget_bytes,
        "base_bytes": problem.base_bytes,
        "arena": problem.arena.value,
        "overlap": problem.overlap,
        "decode_s": problem.decode_s,
        "patch_read_s": problem.patch_read_s,
        "patch_write_s": problem.patch_write_s,
        "switch_s": problem.switch_s,
        "stages": [_stage_to_json(stage) for stage in problem.stages],
        **({"host": asdict(problem.host)} if problem.host else {}),
    }


def _stage_to_json(stage: StageCost) -> dict[str, Any]:
    share = asdict(stage.host)
    del share["spike_bytes"]  # a stage on a device has none
    return {
        **({"host": share} if stage.host != HostShare() else {}),
        **({"on_host": _host_cost_to_json(stage.on_host)} if stage.on_host else {}),
        "stage": stage.stage,
        "needs": sorted(stage.needs),
        "reads_frames": stage.reads_frames,
        "weights_bytes": stage.weights_bytes,
        "load_spike": stage.load_spike,
        "load_s": stage.load_s,
        "fixed_bytes": stage.fixed_bytes,
        "item_bytes": stage.item_bytes,
        "items_per_frame": stage.items_per_frame,
        "batch_s": {str(batch): seconds for batch, seconds in stage.batch_s.items()},
        "max_batch": max(stage.batch_s),
    }


def _host_cost_to_json(cost: HostCost) -> dict[str, Any]:
    table = {str(batch): seconds for batch, seconds in cost.batch_s.items()}
    return {**asdict(cost), "batch_s": table, "max_batch": max(cost.batch_s)}
