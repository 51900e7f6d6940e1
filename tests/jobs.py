"""Runs of the whole, as tests compare them: by their exports."""

import io
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from faceloom.models.weights import WeightCache
from faceloom.store.exports import export


def exported(folder: Path, *, frames: bool = False) -> str:
    """What `faceloom export DIR --to jsonl` prints."""
    out = io.StringIO()
    export(folder, out, to="jsonl", frames=frames)
    return out.getvalue()


def files_below(folder: Path) -> dict[str, bytes]:
    """Every chip and overlay of a result folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for kind in ("chips", "overlays")
        for path in sorted((folder / kind).rglob("*"))
        if path.is_file()
    }


def copy_of_cache(cache: WeightCache, folder: Path) -> None:
    """What is prepared and measured so far, in a folder in which a test may change it."""
    shutil.copytree(cache.folder, folder, ignore=shutil.ignore_patterns("*.part"))
    (folder / "footprints").mkdir(exist_ok=True)


@contextmanager
def installed_plugin(folder: Path, stage: str, source: str) -> Iterator[None]:
    """A third party's plugin: one file and an entry point, as an installed package has them, here and in workers."""
    name = stage.replace("/", "_")
    (folder / f"{name}.py").write_text(textwrap.dedent(source))
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[faceloom.stages]\n{stage} = {name}:Plugin\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
        yield
        sys.modules.pop(name, None)
