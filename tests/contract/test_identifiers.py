from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from faceloom.engines.engine import Network
from faceloom.identify import Identifier
from plugins import chips, every

Load = Callable[[str], Network]
pytestmark = every(Identifier)


@pytest.fixture
def found(plugin: Identifier, network: Load, samples: Path) -> NDArray[np.float32]:
    return plugin.embed(network(plugin.weights.name), chips(samples, size=plugin.input_size))


def test_embeddings_have_unit_length(plugin: Identifier, found: NDArray[np.float32]) -> None:
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.ones(5), rtol=1e-5)


def test_the_template_lies_on_the_chip(plugin: Identifier) -> None:
    assert plugin.template.shape == (5, 2)
    assert ((plugin.template > 0) & (plugin.template < plugin.input_size)).all()


def test_a_batch_of_many_is_batches_of_one(
    plugin: Identifier, network: Load, samples: Path, found: NDArray[np.float32]
) -> None:
    infer = network(plugin.weights.name)
    alone = [plugin.embed(infer, chip[None])[0] for chip in chips(samples, size=plugin.input_size)]
    np.testing.assert_array_equal(found, alone)
