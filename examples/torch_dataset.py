"""A torch data set of a result folder: chips, masks and landmarks as tensors (pip install 'faceloom[torch]').

    python examples/torch_dataset.py FOLDER

FOLDER is a result folder. Faces are listed once; chips are read when they are asked for, in any order and worker.
"""

import sys
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

import faceloom


class Faces(Dataset[dict[str, torch.Tensor]]):
    """Faces with a chip, as tensors: `chip` (3, S, S) 0 to 1, and `landmarks` (68, 2) in pixels of the chip."""

    def __init__(self, folder: str, **conditions: Any) -> None:
        self._results = faceloom.open(folder)
        self._faces = [face for face in self._results.faces(**conditions) if face.chip and face.landmarks is not None]

    def __len__(self) -> int:
        return len(self._faces)

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        face = self._faces[place]
        assert face.landmarks is not None
        assert face.frame_to_chip is not None
        on_chip = face.landmarks @ face.frame_to_chip[:, :2].T + face.frame_to_chip[:, 2]
        chip = torch.from_numpy(self._results.chip(face).copy()).permute(2, 0, 1) / 255
        return {"chip": chip, "landmarks": torch.from_numpy(on_chip).float()}


if __name__ == "__main__":
    faces = Faces(sys.argv[1], min_score=0.7)
    for batch in DataLoader(faces, batch_size=8):
        print({name: tuple(values.shape) for name, values in batch.items()})
