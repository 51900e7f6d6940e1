"""Whether a card ever waits: `python benchmarks/waiting_card.py [--lanes 1] [--call-ms 1] [--megapixel-ms 60]`.

There is no card: `tests/simulated` stands for one that waits as long as a call would take, and answers what the network
said to the first call of that shape. Everything else is a run as on a card: a process that drives it, its plan, its
store. So the two cores are the host's alone. With `--lanes 1` the host does one thing after the other, as it did before
lanes read ahead; what is found is compared byte for byte.

Printed are the seconds of the run, the share of them in which the card worked (from its first frame on), the processor
seconds of the worker for each second of the card's, and what was held of the host's memory beside what was planned.
"""

import argparse
import json
import resource
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from cards import simulated_cards
from faceloom.api import extract
from faceloom.events import Summary
from faceloom.supervisor import planning, profiling
from faceloom.units import GIB, MIB
from jobs import exported, files_below
from media import write_pictures, write_video


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=700)
    parser.add_argument("--call-ms", type=float, default=1.0, help="of every call")
    parser.add_argument("--megapixel-ms", type=float, default=60.0, help="besides, for a megapixel that goes in")
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 4], help="at most so many, run after run")
    parser.add_argument("--pictures", action="store_true", help="JPEGs in place of a video")
    parser.add_argument("--ram", help="the ceiling of the host's memory")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if chosen.pictures:
            inputs = write_pictures(folder / "pictures", frames=chosen.frames)
        else:
            inputs = write_video(folder / "clip.mp4", frames=chosen.frames)
        items = str(folder / "items")
        with card(folder / "first", "records", items=items):
            extract(inputs, folder / "first-out", device="cuda:0", mask=["unet"], end="8f")
        times = {"call_s": chosen.call_ms / 1e3, "megapixel_s": chosen.megapixel_ms / 1e3}
        with card(folder / "cards", f"waits {times}", items=items, **times):
            outs = [report(inputs, folder / f"out{lanes}", lanes, chosen.ram) for lanes in chosen.lanes]
    same = all(out == outs[0] for out in outs)
    print("the same rows and chips" if same else "DIFFERENT ROWS OR CHIPS")
    return 0 if same else 1


@contextmanager
def card(folder: Path, name: str, **settings: str | float) -> Iterator[None]:
    """A card of 8 GiB, by a name under which its footprints are kept; whatever its host could do, it does."""
    with simulated_cards(folder, {name: 8 * GIB}), patch.object(profiling, "_may_be_on_host", lambda *_: False):
        (folder / name / "card.json").write_text(json.dumps({"total_bytes": 8 * GIB, **settings}))
        yield


def report(inputs: Path, out: Path, lanes: int, ram: str | None) -> tuple[str, dict[str, bytes]]:
    """Runs and prints; returns what was found."""
    used_s = _children_s()
    with patch.object(planning, "_lanes", lambda room, flow: range(1, min(lanes, room.lanes) + 1)):
        summary = extract(inputs, out, device="cuda:0", mask=["unet"], ram=ram)
    _print(summary, used_s=_children_s() - used_s)
    return exported(out), files_below(out)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _print(summary: Summary, *, used_s: float) -> None:
    told = summary.to_json()
    plan = told["plan"]
    batches = {stage["stage"]: stage["batch"] for phase in plan["phases"] for stage in phase["stages"]}
    peak, predicted, budget = (
        told[name]["cpu"] / MIB for name in ("peak_bytes", "predicted_peak_bytes", "budget_bytes")
    )
    print(
        f"{plan['lanes']} lanes, {batches}: {told['frames']} frames, {told['faces']} faces in {told['seconds']:.1f} s,"
        f" of which {plan['seconds']:.1f} planned; the card at work {told['device_busy']['cuda:0']:.3f} of the time,"
        f" the worker {used_s:.1f} s of the processor's; RAM {peak:.0f} MiB, {predicted:.0f} predicted,"
        f" {budget:.0f} allowed"
    )


if __name__ == "__main__":
    sys.exit(main())
