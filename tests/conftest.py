"""What many tests need: real weights in a cache of the session's own, sample media, and the shared pictures."""

import contextlib
import functools
import gc
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import faceloom.samples
from faceloom.choices import EngineName
from faceloom.engines.engine import Network
from faceloom.engines.heap import trim_heap
from faceloom.engines.runtime import Runtime, has_torch
from faceloom.engines.start import start_engine
from faceloom.errors import WeightsError
from faceloom.flow import find_plugin
from faceloom.models.catalog import CATALOG
from faceloom.models.weights import WeightCache, own_file
from faceloom.samples import write_samples
from faceloom.stage import NetworkPlugin, PinnedFile, Plugin
from plugins import STAND_INS, stages_of

SHARED = Path(__file__).parents[2] / "shared"
CLIP_FRAMES = 25
"""Of the samples' clip, which most tests use for a video of some chunks and not for how long it is."""

settings.register_profile("shared machines", deadline=None, max_examples=100 if "FACELOOM_LONG" in os.environ else 50)
settings.register_profile("mutation", deadline=None, max_examples=25, derandomize=True, database=None)
settings.load_profile("shared machines")


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all processes that run these tests side by side or one after the other."""
    base = tmp_path_factory.getbasetemp()
    beside = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return Path(os.environ.get("FACELOOM_TESTS_SHARE", beside))


@pytest.fixture(scope="session", autouse=True)
def cache(common: Path) -> Iterator[WeightCache]:
    """An empty weight cache for the whole session, so that a user's own is neither used nor touched.

    Processes that run tests side by side share it, as those of a user do: what one has prepared or measured the others
    have. So no test changes what is in it.
    """
    folder = common / "cache"
    folder.mkdir(exist_ok=True)
    mirrors = os.environ.get("FACELOOM_WEIGHTS", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACELOOM_CACHE", str(folder))
        patch.setenv(
            "FACELOOM_WEIGHTS",
            os.pathsep.join(str(Path(path).absolute()) for path in mirrors.split(os.pathsep) if path),
        )
        yield WeightCache.of_user()


@pytest.fixture(scope="module", autouse=True)
def heap() -> Iterator[None]:
    """What a module's tests held goes back to the system: several processes run them side by side in 1.5 GiB."""
    yield
    gc.collect()
    trim_heap()


def pytest_collection_finish() -> None:
    """What the collected tests consist of stays to the end, and is not searched for garbage after each module.

    From then on nothing else is left out: a command leaves out what there is when it has imported what it needs, and
    those that are called in this process would keep their garbage, nearly a megabyte each.
    """
    gc.collect()
    gc.freeze()
    pytest.MonkeyPatch().setattr(gc, "freeze", lambda: None)


@pytest.fixture(scope="session")
def network(cache: WeightCache) -> Callable[[str], Network]:
    """Loads a network of the catalog; the test is skipped where its weights cannot be had."""

    def load(name: str) -> Network:
        path = prepared(cache, name)
        module = networks()[name].network if name in networks() else ""
        if module and not has_torch():
            pytest.skip("PyTorch is not installed")
        engine = EngineName.TORCH if module else EngineName.ONNX
        return start_engine(Runtime(engine=engine)).load(path, module)

    return load


def prepared(cache: WeightCache, name: str) -> Path:
    """The prepared file of a network; the test is skipped where its weights cannot be had."""
    found = tried(cache, name)
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Fixtures that run what needs weights are as tests."""
    return (yield from skipped_without_weights(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """A test that ends because weights cannot be had on this machine is skipped; where they can be, it has failed."""
    return (yield from skipped_without_weights(item))


def skipped_without_weights(item: pytest.Item) -> Generator[None]:
    try:
        return (yield)
    except WeightsError as error:
        cache = getattr(item, "funcargs", {}).get("cache")  # the session's own, whatever the test has the command use
        is_known = error.name in CATALOG or error.name in files_of_plugins()
        if cache is not None and is_known and isinstance(why := tried(cache, error.name), str):
            pytest.skip(why)
        raise


@functools.cache
def tried(cache: WeightCache, name: str) -> Path | str:
    """That file, or why it cannot be had: nobody asks the network twice."""
    try:
        return cache.prepare(CATALOG[name] if name in CATALOG else files_of_plugins()[name])
    except WeightsError as error:
        return f"the weights cannot be had here: {error}"


@functools.cache
def networks() -> dict[str, type[NetworkPlugin]]:
    """Every registered plugin that runs a network, by the name of its weights."""
    plugins = [find_plugin(*stage.split("/")) for stage in stages_of(NetworkPlugin)]
    return {plugin.weights.name: plugin for plugin in plugins if issubclass(plugin, NetworkPlugin)}


def files_of_plugins() -> dict[str, PinnedFile]:
    """Weights that no catalog has: those that a plugin pins itself, and stand-ins, by name."""
    return {**{name: plugin.weights for name, plugin in networks().items()}, **stand_ins()}


@functools.cache
def stand_ins() -> dict[str, PinnedFile]:
    """Files for plugins that have no weights of their own, by the name of the weights."""
    found = {}
    for stage, file in STAND_INS.items():
        pinned = find_plugin(*stage.split("/")).weights
        assert pinned is not None
        found[pinned.name] = own_file(SHARED / "weights" / file, pinned)
    return found


@pytest.fixture
def plugin(request: pytest.FixtureRequest, cache: WeightCache) -> Plugin:
    """The plugin of a stage with its default options, or those that its stand-in decides."""
    return configured(request.param, cache)


@functools.cache
def configured(stage: str, cache: WeightCache) -> Plugin:
    """A plugin as a run has it; the test is skipped where its stand-in is not beside the checkout."""
    found = find_plugin(*stage.split("/"))
    if stage not in STAND_INS:
        return found()
    assert issubclass(found, NetworkPlugin)
    prepared(cache, found.weights.name)
    signature = cache.signature(stand_ins()[found.weights.name])
    return found(**{**found.options_of_axes(signature), **found.options_for(signature)})


@pytest.fixture(scope="session")
def samples(common: Path) -> Path:
    """The folder that `faceloom samples` writes, with a clip of one second in place of three: 101 faces, 27 frames."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faceloom.samples, "_CLIP_FRAMES", CLIP_FRAMES)
        return written(common / "samples")


@pytest.fixture(scope="session")
def whole_samples(common: Path) -> Path:
    """The folder that `faceloom samples` writes: 251 faces, 77 frames."""
    return written(common / "whole_samples")


def written(folder: Path) -> Path:
    """The samples, which the first process writes that needs them; no test changes what is in them."""
    if not folder.is_dir():
        making = folder.with_name(f"{folder.name}-{os.getpid()}")
        try:
            write_samples(making, on_bytes=lambda *_: None)
        except WeightsError as error:
            pytest.skip(f"the sample portrait cannot be had here: {error}")
        with contextlib.suppress(OSError):  # another process was faster
            making.rename(folder)
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """The pictures with ground truth that lie beside the checkout."""
    data = SHARED / "data"
    if not data.is_dir():
        pytest.skip("the shared pictures are not beside this checkout")
    return data
