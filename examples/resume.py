"""Resume: a run that is interrupted, and goes on where it ended.

    python examples/resume.py INPUT OUT

The first run is asked to stop as soon as some frames are done; a kill at any moment would do as well.
"""

import sys

import faceloom
from faceloom.events import Event, Progress


def main(inputs: str, out: str) -> None:
    """Runs twice, and shows that nothing is done twice."""
    done = 0

    def watch(event: Event) -> None:
        nonlocal done
        if isinstance(event, Progress):
            done = event.frames

    # On one core, so that there is something left to be interrupted.
    first = faceloom.extract(inputs, out, size=128, threads=1, on_event=watch, should_stop=lambda: done > 0)
    print(f"{first.outcome} after {first.frames} frames")
    with faceloom.open(out) as results:  # what is there can be used meanwhile
        print(f"{len(results)} faces so far")
    second = faceloom.extract(inputs, out, size=128)
    print(f"{second.outcome}: {second.frames} frames, {second.skipped} of which were done before")


if __name__ == "__main__":
    main(*sys.argv[1:])
