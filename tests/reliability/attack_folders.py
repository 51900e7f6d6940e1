"""What somebody may have put into a folder of pictures so that it is run: a shadow for every module there is."""

import subprocess
import sys
from pathlib import Path

_LOADED = "import faceloom.worker.main, faceloom.worker.worker, faceloom.worker.measuring, faceloom.models.trial, sys"
_ALSO = (
    "sitecustomize",
    "usercustomize",
    "pip",
    "queue",
    "faceloom",
    "runpy",
    "onnxruntime",
    "av",
    "cv2",
    "simplejpeg",
)
_SHADOW = "open({mark!r}, 'a').write(__name__ + '\\n')\n"


def plant_shadows(folder: Path, mark: Path) -> int:
    """Puts a file beside the pictures for each module that a worker imports, which tells the mark if it is run.

    Returns:
        How many there are.
    """
    told = subprocess.run([sys.executable, "-c", f"{_LOADED}; print(*sys.modules)"], capture_output=True, check=True)
    names = {name.partition(".")[0] for name in told.stdout.decode().split()} | set(sys.stdlib_module_names)
    content = _SHADOW.format(mark=str(mark))
    for name in sorted({*names, *_ALSO} - {"__main__"}):
        (folder / f"{name}.py").write_text(content)
    for package in ("pip", "faceloom", "numpy"):
        (folder / package).mkdir()
        for file in ("__init__.py", "__main__.py"):
            (folder / package / file).write_text(content)
    info = folder / "shadow-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shadow\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[faceloom.stages]\ndetect/yunet = queue:Plugin\ndetect/x = queue:Plugin\n")
    return len(names)
