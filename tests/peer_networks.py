"""The same networks as other packages have them, loaded from their files without what those packages import besides.

They are installed by `pip install --no-deps face-alignment facexlib`, and tests skip where they are not.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def load(package: str, module: str) -> Any:
    """A module of an installed package whose own `__init__` is left out; the test is skipped where there is none."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package} is not installed: pip install --no-deps face-alignment facexlib")
    names = [package, *module.split(".")[:-1]]
    with pytest.MonkeyPatch.context() as patch:
        folder = Path(next(iter(spec.submodule_search_locations)))
        for i, name in enumerate(names):
            folder = folder / name if i else folder
            bare = ModuleType(".".join(names[: i + 1]))
            bare.__path__ = [str(folder)]
            patch.setitem(sys.modules, bare.__name__, bare)
        for name in ("numba", "skimage", "skimage.io", "skimage.color", "tqdm"):
            patch.setitem(sys.modules, name, _Absent(name))
        before = set(sys.modules)
        try:
            return importlib.import_module(f"{package}.{module}")
        finally:
            for name in set(sys.modules) - before:
                if name.startswith(package):
                    del sys.modules[name]


class _Absent(ModuleType):
    """Stands for what a file imports and its networks do not use; what decorates a function leaves it as it is."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: lambda function: function
