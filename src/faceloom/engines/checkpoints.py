"""Checkpoints of PyTorch, read without running anything that is in them."""

import collections
import importlib
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from faceloom.errors import StageError

_STORAGES = {"FloatStorage": torch.float32, "HalfStorage": torch.float16, "LongStorage": torch.int64}


def empty_network(network: str) -> torch.nn.Module:
    """Makes the module at `package.module:Name`; its tensors have shapes but no values, and take no memory.

    Raises:
        StageError: there is none.
    """
    where, _, name = network.partition(":")
    try:
        with torch.device("meta"):
            return getattr(importlib.import_module(where), name)()
    except (ImportError, AttributeError) as error:
        raise StageError(f"there is no network {network!r}: {error}", stage=network) from error


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Reads the tensors of a checkpoint by their keys: of a saved state dict, or of an archive of TorchScript.

    Raises:
        StageError: it is neither, or has something in it that is no tensor.
        MemoryError: there is not enough memory to read it.
    """
    try:
        if _is_script(path):
            return _script_state(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise StageError(f"{path.name} is no checkpoint that can be read: {error}", stage=path.stem) from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise StageError(f"{path.name} is a checkpoint of something else than tensors", stage=path.stem)
    return dict(state)


def _is_script(path: Path) -> bool:
    return zipfile.is_zipfile(path) and any(
        name.endswith("/constants.pkl") for name in zipfile.ZipFile(path).namelist()
    )


def _script_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of an archive of TorchScript, whose code stays unread.

    `torch.jit.load` would compile that code, and `torch.load(weights_only=True)` refuses such archives. Their tensors
    are a pickle of the tree of modules, with the numbers in files beside it.
    """
    with zipfile.ZipFile(path) as archive:
        (tree,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        with archive.open(tree) as stream:
            root = _ScriptReader(stream, archive, tree.removesuffix("data.pkl") + "data/").load()
    if not isinstance(root, _Module):
        raise pickle.UnpicklingError("it holds no module")
    return dict(root.tensors())


class _Module:
    """A module of TorchScript, of which only the attributes are of interest."""

    def tensors(self, prefix: str = "") -> Iterator[tuple[str, torch.Tensor]]:
        for name, value in vars(self).items():
            if isinstance(value, torch.Tensor):
                yield prefix + name, value
            elif isinstance(value, _Module):
                yield from value.tensors(f"{prefix}{name}.")


class _ScriptReader(pickle.Unpickler):
    """Admits modules, as bags of attributes, and tensors; nothing that could act."""

    def __init__(self, stream: Any, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(stream)
        self._archive = archive
        self._folder = folder

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__"):
            return _Module
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        allowed = {
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("collections", "OrderedDict"): collections.OrderedDict,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it holds a {module}.{name}")
        return allowed[module, name]

    def persistent_load(self, pid: Any) -> torch.Tensor:
        _, dtype, key, _, size = pid
        content = bytearray(self._archive.read(self._folder + key))
        return torch.frombuffer(content, dtype=dtype, count=size)


def _tensor(storage: torch.Tensor, offset: int, size: Any, stride: Any, *_: object) -> torch.Tensor:
    return torch.as_strided(storage, size, stride, offset)
