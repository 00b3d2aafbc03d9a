import jax
import numpy as np
import pytest


def stretched(maps):
    low, high = maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True)
    return (maps - low) / np.where(high > low, high - low, 1)


@pytest.mark.parametrize("base", ["grad_cam_plus_plus", "layer_cam"])
def test_refine_cam_multiplies_stretched_maps(tiny_model, images, explain, base):
    model, x = tiny_model(head="hidden"), images()
    single = [f"{base}[layer=first]", f"{base}[layer=second]"]
    written = "" if base == "grad_cam_plus_plus" else f"base={base},"
    named = f"refine_cam[{written}layer=(first,second)]"
    _, _, maps = explain(model, x, [*single, named])
    fine, coarse = (stretched(maps[name]) for name in single)
    coarse = jax.image.resize(coarse, fine.shape, "bilinear", antialias=False)
    (actual,) = (value for name, value in maps.items() if "refine" in name)
    np.testing.assert_allclose(actual, fine * coarse, atol=1e-5)


def test_by_default_the_finer_layer_below_is_the_second_one(
    tiny_model, images, explain
):
    requests = ["refine_cam", "refine_cam[layer=(first,second)]"]
    _, _, maps = explain(tiny_model(), images(), requests)
    np.testing.assert_array_equal(*(maps[name] for name in maps))


def test_one_layer_is_refused(tiny_model, images, explain):
    with pytest.raises(ValueError, match="two layers or more"):
        explain(tiny_model(), images(), ["refine_cam[layer=second]"])
