import jax
import jax.numpy as jnp
import numpy as np
import pytest


@pytest.mark.parametrize("output", ["probability", "logit"])
def test_occlusion_averages_over_the_windows_that_cover_a_pixel(
    tiny_model, images, explain, output
):
    """Windows of 3 at steps of 2 on 8 pixels: 0, 2, 4 and 5, the last moved back."""
    model, x, targets = tiny_model(head="hidden"), images(2), jnp.array([4, 2])

    def read(x, target):
        logits = model.apply(model.params, x[None])[0][0]
        values = jax.nn.softmax(logits) if output == "probability" else logits
        return values[target]

    expected, covered = np.zeros((2, 8, 8)), np.zeros((8, 8))
    for top, left in [(a, b) for a in (0, 2, 4, 5) for b in (0, 2, 4, 5)]:
        window = np.s_[top : top + 3, left : left + 3]
        covered[window] += 1
        for i in range(2):
            fall = read(x[i], targets[i]) - read(x[i].at[window].set(0), targets[i])
            expected[i][window] += fall
    request = f"occlusion[chunk=5,output={output},stride=0.25,window=0.4]"
    _, _, maps = explain(model, x, [request], targets=targets)
    np.testing.assert_allclose(maps[request], expected / covered, atol=1e-5)


def test_a_model_that_sees_one_corner_is_found_out(tiny_model, images, explain):
    """Only what the score depends on changes it."""
    model = tiny_model()

    def network(params, x, *, edit=None, keep=()):
        corner = x[:, :2, :2].sum((1, 2, 3))
        return jnp.stack([corner, -corner], axis=1), {}

    corner_model = type(model)(**{**vars(model), "network": network})
    requests = ["occlusion[stride=0.25,window=0.25]", "rise[cells=4,samples=600]"]
    _, _, maps = explain(corner_model, images(), requests)
    occlusion, rise = (maps[name] for name in requests)
    assert (np.abs(occlusion[:, :2, :2]) > 0).all()
    np.testing.assert_array_equal(occlusion[:, 2:, :], 0)
    np.testing.assert_array_equal(occlusion[:, :, 2:], 0)
    assert (rise.reshape(3, -1).argmax(1) % 8 < 4).all()


def test_rise_of_a_constant_model_is_the_mean_mask(tiny_model, images, explain):
    """Masks show a share `shown` of every pixel, so that the map is p everywhere."""
    model = tiny_model()

    def network(params, x, *, edit=None, keep=()):
        return jnp.tile(jnp.log(jnp.array([[0.25, 0.75]])), (len(x), 1)), {}

    constant = type(model)(**{**vars(model), "network": network})
    request = "rise[cells=3,chunk=7,samples=3000,shown=0.3]"
    _, _, maps = explain(constant, images(2), [request])
    np.testing.assert_allclose(maps[request], 0.75, atol=0.07)
    assert np.ptp(maps[request]) > 0, "the masks are random"
    assert np.abs(maps[request][0] - maps[request][1]).max() > 0, "each has its own"


def test_rise_does_not_depend_on_chunks(tiny_model, images, explain):
    model, x = tiny_model(head="hidden"), images(2)
    requests = ["rise[chunk=3,samples=20]", "rise[chunk=64,samples=20]"]
    _, _, maps = explain(model, x, requests)
    np.testing.assert_allclose(maps[requests[0]], maps[requests[1]], rtol=1e-5)


def test_an_unknown_output_is_refused(tiny_model, images, explain):
    with pytest.raises(ValueError, match="output='odds' is not known"):
        explain(tiny_model(), images(), ["occlusion[output=odds]"])
