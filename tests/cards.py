"""Cards that are not there: see `tests/simulated`."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from faceloom.engines import runtime
from faceloom.version import version_of

SIMULATED = Path(__file__).with_name("simulated")
FOLDER = "FACELOOM_SIMULATED_CARDS"


@contextmanager
def simulated_cards(folder: Path, sizes: Mapping[str, int]) -> Iterator[None]:
    """Cards of these bytes, by name, in this process and in those that it starts; in the order of their names."""
    for name, total_bytes in sizes.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "card.json").write_text(json.dumps({"total_bytes": total_bytes}))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SIMULATED))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(SIMULATED), os.environ.get("PYTHONPATH", "")]))
        patch.setenv(FOLDER, str(folder))
        patch.delitem(sys.modules, "pynvml", raising=False)
        patch.setattr(
            runtime, "version_of", lambda package: "1.0" if package == "onnxruntime-gpu" else version_of(package)
        )
        yield
        sys.modules.pop("pynvml", None)
