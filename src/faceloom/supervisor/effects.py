"""Options that change nothing for the inputs at hand, which whoever gave them should know."""

from collections.abc import Collection, Iterator

from faceloom.canvases import tile_starts
from faceloom.detect import Detector
from faceloom.events import NO_EFFECT, Notice
from faceloom.flow import Flow
from faceloom.media.sources import SourceKind
from faceloom.store.store import Store


def without_effect(flow: Flow, store: Store) -> Iterator[Notice]:
    """Notices of what was asked of the detector and no frame of a run is large enough for.

    None where the size of some frame is not known beforehand.
    """
    counted = list(store.frames.counted())
    if not counted or sum(count for _, _, count in counted) < store.frames.counts().pending:
        return
    shapes = {(shape.height, shape.width) for _, shape, _ in counted}
    for stage in flow.of("detect"):
        if isinstance(stage.plugin, Detector):
            if stage.plugin.detect_every > 1 and all(kind is SourceKind.PICTURE for kind, _, _ in counted):
                every = stage.plugin.detect_every
                text = f"--detect-every {every} changes nothing here: faces are followed in videos, and there is none"
                yield Notice(kind=NO_EFFECT, text=text)
            for text in idle_options(stage.plugin, shapes):
                yield Notice(kind=NO_EFFECT, text=text)


def idle_options(plugin: Detector, shapes: Collection[tuple[int, int]]) -> Iterator[str]:
    """What each of a detector's options that change nothing for frames (height, width) of these shapes is, and why."""
    largest = max(map(max, shapes))
    usual = type(plugin).longest_side
    of_them = f"the longest side of all frames is {largest:,} pixels"
    if plugin.tile_px and not any(tile_starts(plugin, *shape)[0] for shape in shapes):
        yield (
            f"--tiles {plugin.tile_px} changes nothing here: {of_them}, and only frames that are scaled down to"
            f" {plugin.longest_side:,} are looked at in tiles; --enlarge 1.5 finds small faces in small pictures"
        )
    same = plugin.longest_side != usual and largest <= min(plugin.longest_side, usual)
    if same and not plugin.canvas:
        yield (
            f"--detect-size {plugin.longest_side} changes nothing here: {of_them}, which is not scaled down anyway;"
            " --enlarge 1.5 finds small faces in small pictures"
        )
