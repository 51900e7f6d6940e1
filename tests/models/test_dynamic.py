import numpy as np
import onnx
import pytest

from faceloom.errors import WeightsError
from faceloom.models.catalog import CATALOG
from faceloom.models.dynamic import free_axes
from faceloom.models.weights import WeightCache
from onnx_files import Floats, answers, head, session_of


def noise(*shape: int) -> Floats:
    return np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)


def test_a_freed_batch_is_its_items_one_by_one() -> None:
    session = session_of(free_axes(head(), ["batch"], name="head"))
    images = noise(5, 3, 4, 5)
    singles = np.concatenate([answers(session, image[None])[0] for image in images])
    np.testing.assert_array_equal(answers(session, images)[0], singles)


def test_a_freed_batch_of_one_is_what_the_file_answers() -> None:
    image = noise(1, 3, 4, 5)
    freed = free_axes(head(), ["batch", "height", "width"], name="head")
    np.testing.assert_allclose(answers(session_of(freed), image)[0], answers(session_of(head()), image)[0], rtol=1e-6)


def test_freed_sides_take_images_of_other_sizes() -> None:
    session = session_of(free_axes(head(), ["batch", "height", "width"], name="head"))
    assert answers(session, noise(2, 3, 7, 8))[0].shape == (2, 56, 2)


def test_an_axis_that_is_not_named_stays_fixed() -> None:
    session = session_of(free_axes(head(), ["batch"], name="head"))
    assert session.get_inputs()[0].shape == ["batch", 3, 4, 5]


def test_weights_leave_the_inputs() -> None:
    freed = free_axes(head(), ["batch"], name="head")
    assert [value.name for value in freed.graph.input] == ["image"]


def test_the_network_that_was_given_is_left_as_it_was() -> None:
    model = head()
    free_axes(model, ["batch", "height", "width"], name="head")
    assert model == head()


def test_a_network_with_two_inputs_is_refused() -> None:
    with pytest.raises(WeightsError):
        free_axes(head(inputs=["image", "other"]), ["batch"], name="head")


def test_a_network_without_an_image_is_refused() -> None:
    model = head()
    del model.graph.input[0].type.tensor_type.shape.dim[3]
    with pytest.raises(WeightsError):
        free_axes(model, ["batch"], name="head")


# CenterFace is not among them: the runtime refuses its file until its axes are freed.
@pytest.mark.parametrize("name", ["yunet", "pfld"])
def test_a_freed_network_answers_what_its_file_answers(cache: WeightCache, name: str) -> None:
    try:
        model = onnx.load(str(cache.pull(CATALOG[name])))
    except WeightsError as error:
        pytest.skip(f"the weights cannot be had here: {error}")
    dims = model.graph.input[0].type.tensor_type.shape.dim
    image = 255 * noise(*(side.dim_value for side in dims))
    freed = session_of(free_axes(model, CATALOG[name].dynamic, name=name))
    for ours, theirs in zip(answers(freed, image), answers(session_of(model), image), strict=True):
        np.testing.assert_allclose(ours.reshape(theirs.shape), theirs, atol=1e-5)
