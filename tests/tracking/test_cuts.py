import random
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from faceloom.media.signatures import signature_of
from faceloom.tracking.cuts import Signature, find_cuts


def scene(seed: int) -> Signature:
    """A picture of a few soft shapes, like no other's."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:18, :32]
    image = np.zeros((18, 32, 3))
    for _ in range(4):
        cy, cx, width = rng.uniform(0, 18), rng.uniform(0, 32), rng.uniform(3, 9)
        image += rng.uniform(0, 160, 3) * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / width**2)[..., None]
    return np.clip(image, 0, 255).astype(np.uint8)


def shot(seed: int, frames: int, *, pan: int = 0) -> list[Signature]:
    """A scene with noise; the camera pans by so many columns a frame."""
    rng, image = np.random.default_rng(seed), scene(seed)
    moved = [np.roll(image, pan * i, axis=1).astype(np.int16) for i in range(frames)]
    return [np.clip(one + rng.integers(-2, 3, one.shape), 0, 255).astype(np.uint8) for one in moved]


def test_every_cut_is_found_and_nothing_else() -> None:
    shots = [shot(seed, 5 + seed % 7, pan=seed % 2) for seed in range(40)]
    ends = np.cumsum([len(one) for one in shots])
    assert find_cuts(frame for one in shots for frame in one) == ends[:-1].tolist()


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_flash_is_no_cut(frames: int) -> None:
    images = shot(1, 20)
    images[8 : 8 + frames] = [np.full_like(images[0], 250)] * frames
    assert find_cuts(images) == []


def test_a_cut_right_after_a_flash_is_one() -> None:
    images = [*shot(1, 10), np.full((18, 32, 3), 250, np.uint8), *shot(2, 10)]
    assert len(find_cuts(images)) == 1


def test_a_light_that_goes_on_slowly_is_no_cut() -> None:
    images = [np.clip(image * (0.5 + i / 40), 0, 255).astype(np.uint8) for i, image in enumerate(shot(3, 20))]
    assert find_cuts(images) == []


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_frames_have_their_cuts_too(count: int) -> None:
    images = [scene(seed) for seed in range(count)]
    assert find_cuts(images) == list(range(1, count))


def test_frames_come_one_by_one_and_few_are_held() -> None:
    """By the answer: that of cutting the same frames in another process of giving them."""
    images = [image for seed in range(6) for image in shot(seed, 9)]
    assert find_cuts(iter(images)) == find_cuts(images)


def ends_of(path: Path) -> tuple[list[Signature], list[Signature]]:
    """The first and the last frames of a clip."""
    with av.open(str(path)) as file:
        found = [signature_of(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)) for frame in file.decode(video=0)]
    return found[:10], found[-10:]


def found_between(clips: Sequence[tuple[list[Signature], list[Signature]]]) -> tuple[int, int, int]:
    """Of cuts from each clip to each other: how many there are, how many are found, and what else is found."""
    answers = [find_cuts([*one[1], *other[0]]) for one in clips for other in clips if one is not other]
    return len(answers), sum(10 in cuts for cuts in answers), sum(cut != 10 for cuts in answers for cut in cuts)


def test_cuts_between_clips_of_one_room_are_found(shared: Path) -> None:
    """The same few signers before the same wall: the hardest cuts that there are (docs/tracks.md has all clips)."""
    paths = sorted((shared / "intel_sample_videos/asl_gestures").glob("*.mkv"))
    clips = [ends_of(path) for path in random.Random(1).sample(paths, 6)]
    there, found, more = found_between(clips)
    assert there == 30
    assert (found, more) == (there, 0)
