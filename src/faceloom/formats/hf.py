"""A data set folder of Hugging Face: chips with what is known of them, and a card.

Source: https://huggingface.co/docs/datasets/image_dataset#imagefolder and /docs/hub/datasets-cards.
"""

from collections.abc import Iterator

from faceloom.attributes import Part
from faceloom.formats import chips, jsonl
from faceloom.formats.record import ChipReader, Format, Frames, Piece

_SPLIT = "train"
_CARD = """\
---
pretty_name: Faces
task_categories:
- image-classification
tags:
- faces
size_categories:
- {size}
configs:
- config_name: default
  data_files:
  - split: train
    path: train/**
---

# Faces

{faces:,} aligned chips of faces from {sources:,} sources, found by [faceloom](https://pypi.org/project/faceloom/).

```python
from datasets import load_dataset

faces = load_dataset("imagefolder", data_dir="THIS FOLDER", split="train")
```

Each row has the `image` and what is known of the face: `source`, `frame`, `index`, `box`, `score`, `keypoints`,
`landmarks`, `affine` (of the frame to the chip), `pose` (pitch, yaw, roll), `person` and more, in pixels of the frame.

These are pictures of people. Whether you may keep them, share them or learn from them depends on where they come from
and on the people in them; this card does not know. What was found was found by networks, and can be wrong.
"""
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def _write(frames: Frames, read_chip: ChipReader) -> Iterator[Piece]:
    faces, sources, before = 0, 0, None
    for frame, face, name in chips.flat(frames):
        yield f"{_SPLIT}/{chips.METADATA}", chips.metadata_line(frame, face, name)
        faces, sources, before = faces + 1, sources + (frame.id.source != before), frame.id.source
    size = next((told for most, told in _SIZES if faces < most), "1M<n<10M")
    yield "README.md", _CARD.format(size=size, faces=faces, sources=sources).encode()
    for _, face, name in chips.flat(frames):
        assert face.chip is not None
        yield f"{_SPLIT}/{name}", read_chip(face.chip)


FORMAT = Format(
    name="hf",
    title="Hugging Face data set",
    suffix="",
    keeps=jsonl.KEEPS - {Part.MASKS},
    changes=f"{jsonl.CHANGES}; faces without a chip are left out; of masks there are the sizes",
    write_with_chips=_write,
    is_text=False,
    is_folder=True,
)
