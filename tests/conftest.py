"""What many tests need: real weights in a cache of the session's own, sample media, and the shared pictures."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from faceloom.choices import EngineName
from faceloom.engines.engine import Network
from faceloom.engines.runtime import Runtime, has_torch
from faceloom.engines.start import start_engine
from faceloom.errors import WeightsError
from faceloom.flow import find_plugin
from faceloom.models.catalog import CATALOG
from faceloom.models.weights import WeightCache, own_file
from faceloom.samples import write_samples
from faceloom.stage import NetworkPlugin, PinnedFile
from plugins import known

MODULES = {
    plugin.weights.name: plugin.network for plugin in known() if isinstance(plugin, NetworkPlugin) and plugin.network
}
"""Of the weights that are checkpoints, by name."""
USERS_OWN = {"arcface": "fr_feature.onnx"}
SHARED = Path(__file__).parents[2] / "shared"

settings.register_profile("shared machines", deadline=None)
settings.load_profile("shared machines")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WeightCache]:
    """An empty weight cache for the whole session, so that a user's own is neither used nor touched."""
    folder = tmp_path_factory.mktemp("cache")
    mirrors = os.environ.get("FACELOOM_WEIGHTS", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACELOOM_CACHE", str(folder))
        patch.setenv(
            "FACELOOM_WEIGHTS",
            os.pathsep.join(str(Path(path).absolute()) for path in mirrors.split(os.pathsep) if path),
        )
        yield WeightCache.of_user()


@pytest.fixture(scope="session")
def network(cache: WeightCache) -> Callable[[str], Network]:
    """Loads a network of the catalog; the test is skipped where its weights cannot be had."""

    def load(name: str) -> Network:
        path = prepared(cache, name)
        module = MODULES.get(name, "")
        if module and not has_torch():
            pytest.skip("PyTorch is not installed")
        engine = EngineName.TORCH if module else EngineName.ONNX
        return start_engine(Runtime(engine=engine)).load(path, module)

    return load


def prepared(cache: WeightCache, name: str) -> Path:
    """The prepared file of a network; the test is skipped where its weights cannot be had."""
    try:
        return cache.prepare(_users_own(name) if name in USERS_OWN else CATALOG[name])
    except WeightsError as error:
        pytest.skip(f"the weights cannot be had here: {error}")


def _users_own(name: str) -> PinnedFile:
    """A file for a plugin that has no weights of its own."""
    stand_in_for = find_plugin("identify", name).weights
    assert stand_in_for is not None
    return own_file(SHARED / "weights" / USERS_OWN[name], stand_in_for)


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `faceloom samples` writes."""
    folder = tmp_path_factory.mktemp("samples")
    try:
        write_samples(folder, on_bytes=lambda *_: None)
    except WeightsError as error:
        pytest.skip(f"the sample portrait cannot be had here: {error}")
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """The pictures with ground truth that lie beside the checkout."""
    data = SHARED / "data"
    if not data.is_dir():
        pytest.skip("the shared pictures are not beside this checkout")
    return data
