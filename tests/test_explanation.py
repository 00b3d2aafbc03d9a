import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import explanation, methods, ops
from jaxcam.models.model import InputSpec, Model


def network(params, x, /, *, edit=None, keep=()):
    """A 4 x 4 map of three features, averaged and read linearly."""
    blocks = x.reshape(len(x), 4, 2, 4, 2, 3).mean((2, 4))
    blocks = (edit or {}).get("blocks", lambda a: a)(blocks)
    return blocks.mean((1, 2)) @ params, {"blocks": blocks} if keep else {}


def least_model(params):
    return Model(
        name="least",
        params=params,
        network=network,
        input=InputSpec(size=(8, 8)),
        layers=("blocks",),
        default_layer="blocks",
        cam_layer="blocks",
    )


@pytest.fixture
def model():
    rng = np.random.default_rng(0)
    return least_model(jnp.asarray(rng.normal(size=(3, 5)), jnp.float32))


IMAGES = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3), np.uint8)


def native(model, images, targets):
    """CAM by its definition: the classifier's weights times the features."""
    x = np.float32(images) / 255
    blocks = x.reshape(len(x), 4, 2, 4, 2, 3).mean((2, 4))
    weights = np.asarray(model.params).T[targets]
    return np.einsum("bhwc,bc->bhw", blocks, weights)


def logits_of(model, images):
    return np.asarray(model.apply(model.params, np.float32(images) / 255)[0])


def test_by_default_the_predicted_class_at_image_size(model):
    predicted = logits_of(model, IMAGES).argmax(1)
    expected = np.maximum(native(model, IMAGES, predicted) / 16, 0)
    maps = explanation.explain(model, IMAGES)
    assert isinstance(maps, np.ndarray)
    assert maps.dtype == np.float32
    large = [ops.resize(jnp.asarray(m), (8, 8)) for m in expected]
    np.testing.assert_allclose(maps, large, atol=1e-5)
    small = explanation.explain(model, IMAGES, size="native")
    np.testing.assert_allclose(small, expected, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_batches_change_nothing(model, batch_size):
    methods_ = ["cam", "random"]
    few = explanation.explain(model, IMAGES, 1, methods_, batch_size=batch_size)
    many = explanation.explain(model, IMAGES, 1, methods_)
    for name in methods_:
        assert few[name].shape == (5, 8, 8)
        np.testing.assert_allclose(few[name], many[name], atol=1e-6)


def test_a_class_for_all_a_class_for_each_and_a_contrast(model):
    def maps(targets):
        return explanation.explain(model, IMAGES, targets, "cam", size="native")

    each = np.array([0, 1, 2, 3, 4])
    np.testing.assert_allclose(maps(2), native(model, IMAGES, np.full(5, 2)), atol=1e-5)
    np.testing.assert_allclose(maps(each), native(model, IMAGES, each), atol=1e-5)
    pairs = np.stack([each, (each + 1) % 5], axis=1)
    gap = native(model, IMAGES, pairs[:, 0]) - native(model, IMAGES, pairs[:, 1])
    np.testing.assert_allclose(maps(pairs), gap, atol=1e-5)
    by_function = maps(lambda logits: logits[0] - logits[3])
    pairs = np.tile([[0, 3]], (5, 1))
    np.testing.assert_allclose(by_function, maps(pairs), atol=1e-5)


def test_the_k_best_classes_in_order(model):
    order = np.argsort(-logits_of(model, IMAGES), axis=1)[:, :3]
    full = explanation.explain(
        model, IMAGES, "top-3", "cam", size="native", full=True, batch_size=2
    )
    np.testing.assert_array_equal(full.targets, order)
    assert full.maps.shape == (5, 3, 4, 4)
    for k in range(3):
        expected = native(model, IMAGES, order[:, k])
        np.testing.assert_allclose(full.maps[:, k], expected, atol=1e-5)


def test_full_says_what_was_explained(model):
    full = explanation.explain(model, IMAGES, 4, ["cam", "uniform"], full=True)
    logits = logits_of(model, IMAGES)
    softmax = np.asarray(jax.nn.softmax(logits, axis=1))
    cam = full["cam"]
    assert (cam.method, cam.layers, full["uniform"].layers) == ("cam", ("blocks",), ())
    np.testing.assert_array_equal(cam.targets, np.full(5, 4))
    np.testing.assert_allclose(cam.probabilities, softmax[:, 4], rtol=1e-5)
    np.testing.assert_array_equal(cam.predicted, logits.argmax(1))
    np.testing.assert_allclose(cam.logits, logits, rtol=1e-5)
    assert list(full["uniform"].status) == ["the map is constant"] * 5


@pytest.mark.parametrize("rule", ["max", "minmax"])
def test_normalize_is_the_operation_of_that_name(model, rule):
    plain = explanation.explain(model, IMAGES, 0, "cam")
    maps = explanation.explain(model, IMAGES, 0, "cam", normalize=rule)
    expected = [ops.normalize(jnp.asarray(m), rule=rule) for m in plain]
    np.testing.assert_allclose(maps, expected, atol=1e-5)


def test_images_of_another_size_are_resized_and_maps_resized_back(model):
    flat = np.full((1, 12, 20, 3), 0.25, np.float32)
    full = explanation.explain(model, flat, 0, "cam", full=True)
    assert full.maps.shape == (1, 12, 20)
    same = explanation.explain(model, flat[:, :8, :8], 0, "cam", full=True)
    np.testing.assert_allclose(full.logits, same.logits, rtol=1e-5)


def test_nan_is_flagged_and_said_never_silent(model):
    images = np.float32(IMAGES) / 255
    images[3] = np.nan
    with pytest.warns(UserWarning, match="1 of 5 maps of grad_cam hold NaN"):
        full = explanation.explain(model, images, full=True)
    assert full.status[3] == "NaN in the map"
    assert np.isnan(full.maps[3]).all()
    assert np.isfinite(full.maps[[0, 1, 2, 4]]).all()


def test_a_map_that_is_nowhere_positive_is_flagged(model):
    black = np.zeros_like(IMAGES)
    full = explanation.explain(model, black, full=True)
    assert list(full.status) == ["the map is nowhere positive"] * 5
    np.testing.assert_array_equal(full.maps, 0)


def test_a_second_call_does_not_trace_again(model, monkeypatch):
    calls = []
    monkeypatch.setattr(
        methods.saliency,
        "_forward",
        lambda *a, f=methods.saliency._forward: calls.append(1) or f(*a),
    )
    for targets in (0, 3, np.arange(5)):
        explanation.explain(model, IMAGES, targets, "layer_cam")
    assert len(calls) == 1


def test_programs_leave_with_their_model(model):
    explanation.explain(model, IMAGES)
    twin = least_model(model.params)
    explanation.explain(twin, IMAGES)
    explanation.explain(twin, IMAGES, lambda logits: logits[0])
    assert id(twin) in explanation._PROGRAMS
    gone, identity = weakref.ref(twin), id(twin)
    del twin
    gc.collect()
    assert gone() is None
    assert identity not in explanation._PROGRAMS


def test_the_cache_of_programs_is_bounded(model, monkeypatch):
    monkeypatch.setattr(explanation, "_PROGRAMS_PER_MODEL", 2)
    for method in ("cam", "grad_cam", "hires_cam"):
        explanation.explain(model, IMAGES, 0, method)
    assert len(explanation._PROGRAMS[id(model)]) == 2


def test_out_of_memory_halves_the_batch_and_says_so(model, monkeypatch):
    build = explanation._build

    def stingy(*arguments):
        program = build(*arguments)

        def run(params, images, *rest):
            if len(images) > 2:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: too much")
            return program(params, images, *rest)

        return run

    expected = explanation.explain(model, IMAGES, 0, "cam")
    explanation._PROGRAMS.clear()
    monkeypatch.setattr(explanation, "_build", stingy)
    with pytest.warns(UserWarning, match="going on with 2 images at a time"):
        maps = explanation.explain(model, IMAGES, 0, "cam")
    np.testing.assert_allclose(maps, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((IMAGES[0],), {}, ValueError, r"add the batch axis with images\[None\]"),
        ((IMAGES.astype(int),), {}, TypeError, "must be uint8 or floating point"),
        ((IMAGES[:0],), {}, ValueError, "holds no image"),
        ((IMAGES, "best"), {}, ValueError, "write 'top-3'"),
        ((IMAGES, "top-9"), {}, ValueError, "only 5 outputs"),
        ((IMAGES, 5), {}, ValueError, r"must lie in \[0, 5\)"),
        ((IMAGES, -1), {}, ValueError, r"must lie in \[0, 5\)"),
        ((IMAGES, [0, 1]), {}, ValueError, r"must have shape \(5,\)"),
        ((IMAGES, 0.5), {}, ValueError, "must be integers"),
        ((IMAGES, 0, "truth"), {}, ValueError, "truth needs the truth"),
        ((IMAGES, 0, "gradcam"), {}, ValueError, "did you mean grad_cam"),
        ((IMAGES, 0, "cam", "head"), {}, ValueError, "has no layer 'head'"),
        ((IMAGES,), {"size": "full"}, ValueError, "size='full' is not known"),
        ((IMAGES,), {"normalize": "sum"}, ValueError, "normalize='sum' is not known"),
    ],
)
def test_mistakes_are_refused_in_one_sentence(
    model, arguments, options, error, message
):
    with pytest.raises(error, match=message):
        explanation.explain(model, *arguments, **options)


def test_a_layer_may_be_named_apart_or_inside_the_request(model):
    apart = explanation.explain(model, IMAGES, 0, "grad_cam", "blocks")
    inside = explanation.explain(model, IMAGES, 0, "grad_cam[layer=blocks]")
    np.testing.assert_array_equal(apart, inside)
