import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

TARGETS = jnp.array([3, 0, 1])


def upsampled(maps):
    shape = (*maps.shape[:-2], 8, 8)
    return np.asarray(jax.image.resize(maps, shape, "bilinear", antialias=False))


def stretched(maps):
    low, high = maps.min((-2, -1), keepdims=True), maps.max((-2, -1), keepdims=True)
    return (maps - low) / np.where(high > low, high - low, 1)


def relu(x):
    return np.maximum(x, 0)


def softmax(x):
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


@pytest.fixture(scope="module")
def setting(tiny_model, images):
    """A model with one dead channel, images, and channels-first activations."""
    model = tiny_model(head="hidden")
    model.params["bias"] = model.params["bias"].at[2].set(-100.0)
    x = images()
    kept = model.apply(model.params, x, keep=("second",))[1]["second"]
    maps = np.moveaxis(np.asarray(kept), -1, 1)
    assert (maps[:, 2] == 0).all()
    assert (maps.max((2, 3)) > maps.min((2, 3))).sum() > 10
    answer = jax.jit(lambda x: model.apply(model.params, x)[0])
    return model, x, maps, answer


def literal_weights(setting, score):
    """`score(answer, image, target, map)` of every live channel, one by one."""
    _, x, maps, answer = setting
    weights = np.full(maps.shape[:2], np.nan)
    for i, k in np.ndindex(weights.shape):
        if maps[i, k].max() > maps[i, k].min():
            weights[i, k] = score(answer, x[i : i + 1], int(TARGETS[i]), i, k, maps)
    return weights


def weighed(weights, maps):
    return relu((np.nan_to_num(weights)[:, :, None, None] * maps).sum(1))


def seen_through(x, mask):
    return x * mask[None, :, :, None]


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_score_cam_agrees_with_one_channel_after_another(setting, explain, chunk):
    def score(answer, x, target, i, k, maps):
        logits = answer(seen_through(x, stretched(upsampled(maps[i, k]))))
        return jax.nn.softmax(logits[0])[target]

    expected = weighed(literal_weights(setting, score), setting[2])
    request = f"score_cam[chunk={chunk}]"
    _, _, maps = explain(*setting[:2], [request], targets=TARGETS)
    np.testing.assert_allclose(maps[request], expected, rtol=1e-4)


def test_score_cam_of_the_paper_weighs_by_a_softmax_over_live_channels(
    setting, explain
):
    def score(answer, x, target, i, k, maps):
        return answer(seen_through(x, stretched(upsampled(maps[i, k]))))[0, target]

    logits = literal_weights(setting, score)
    weights = np.full_like(logits, np.nan)
    for row, live in zip(range(3), np.isfinite(logits), strict=True):
        weights[row, live] = softmax(logits[row, live])
    request = "score_cam[variant=paper]"
    _, _, maps = explain(*setting[:2], [request], targets=TARGETS)
    np.testing.assert_allclose(maps[request], weighed(weights, setting[2]), rtol=1e-4)


def test_dead_channels_cost_no_pass(setting):
    """The loop's length is the number of live channels, in chunks."""
    from jaxcam.methods import chunks

    asked = []

    def fn(rows):
        jax.debug.callback(lambda r: asked.append(np.asarray(r)), rows)
        return rows.astype(jnp.float32)

    live = jnp.zeros(40, bool).at[jnp.array([3, 17, 39, 20, 5])].set(True)
    values = jax.jit(functools.partial(chunks.live_rows, fn, chunk=2, fill=-1.0))(live)
    jax.effects_barrier()
    assert len(asked) == 3, "five live rows in chunks of two"
    np.testing.assert_array_equal(values, np.where(live, np.arange(40), -1))


@pytest.mark.parametrize("count", [0, 7])
def test_no_live_channel_and_all_live_channels(count):
    from jaxcam.methods import chunks

    live = jnp.arange(7) < count
    values = chunks.live_rows(lambda r: r + 1.0, live, chunk=3, fill=0.0)
    np.testing.assert_array_equal(values, np.where(live, np.arange(7) + 1, 0))


def test_a_dead_layer_has_the_zero_map(setting, explain):
    model, x, *_ = setting
    requests = ["score_cam", "score_cam[variant=paper]", "group_cam"]
    requests += ["ablation_cam", "is_cam[steps=2]"]
    dead = {**model.params, "bias": model.params["bias"] - 100.0}
    dead_model = type(model)(**{**vars(model), "params": dead})
    _, _, maps = explain(dead_model, x, requests)
    for name in requests:
        np.testing.assert_array_equal(maps[name], 0, err_msg=name)


def test_is_cam_integrates_the_strength_of_the_mask(setting, explain):
    def score(answer, x, target, i, k, maps):
        masked = seen_through(x, stretched(upsampled(maps[i, k])))
        return np.mean([answer(masked * s / 4)[0, target] for s in (1, 2, 3, 4)])

    logits = literal_weights(setting, score)
    weights = np.full_like(logits, np.nan)
    for row, live in zip(range(3), np.isfinite(logits), strict=True):
        weights[row, live] = softmax(logits[row, live])
    _, _, maps = explain(*setting[:2], ["is_cam[steps=4]"], targets=TARGETS)
    expected = weighed(weights, setting[2])
    np.testing.assert_allclose(maps["is_cam[steps=4]"], expected, rtol=1e-4)


def test_ss_cam_without_noise_is_score_cam_of_the_paper(setting, explain):
    requests = ["ss_cam[noise=0.0,samples=1]", "score_cam[variant=paper]"]
    _, _, maps = explain(*setting[:2], requests, targets=TARGETS)
    np.testing.assert_allclose(maps[requests[0]], maps[requests[1]], rtol=1e-4)


def test_ss_cam_s_noise_belongs_to_image_channel_and_sample(setting, explain):
    keys = jax.random.split(jax.random.key(3), 3)

    def score(answer, x, target, i, k, maps):
        logits = []
        for m in range(3):
            key = jax.random.fold_in(keys[i], k * 3 + m)
            noisy = maps[i, k] + 0.5 * jax.random.normal(key, maps.shape[2:])
            mask = stretched(upsampled(np.asarray(noisy)))
            logits.append(answer(seen_through(x, mask))[0, target])
        return np.mean(logits)

    logits = literal_weights(setting, score)
    weights = np.full_like(logits, np.nan)
    for row, live in zip(range(3), np.isfinite(logits), strict=True):
        weights[row, live] = softmax(logits[row, live])
    request = "ss_cam[noise=0.5,samples=3]"
    _, _, maps = explain(*setting[:2], [request], targets=TARGETS, seed=3)
    np.testing.assert_allclose(maps[request], weighed(weights, setting[2]), rtol=1e-3)


def literal_blur(x, radius, sigma):
    """float[B, H, W, C] blurred by an explicit double sum over a mirrored image."""
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-((offsets / sigma) ** 2) / 2)
    kernel /= kernel.sum()
    pad = [(0, 0), (radius, radius), (radius, radius), (0, 0)]
    mirrored = np.pad(x, pad, mode="reflect")
    out = np.zeros_like(x)
    for dy, dx in np.ndindex(len(kernel), len(kernel)):
        part = mirrored[:, dy : dy + x.shape[1], dx : dx + x.shape[2]]
        out += kernel[dy] * kernel[dx] * part
    return out


def test_group_cam_agrees_with_the_definition(setting, explain):
    model, x, maps, answer = setting
    request = "group_cam[blur_radius=3,blur_sigma=2.0,groups=4]"
    _, _, actual = explain(model, x, [request], targets=TARGETS)
    blurred = literal_blur(np.asarray(x), 3, 2.0)
    for i in range(3):

        def score(a, i=i):
            edit = {"second": lambda _: a[None]}
            return model.apply(model.params, x[i : i + 1], edit=edit)[0][0, TARGETS[i]]

        g = np.asarray(jax.grad(score)(jnp.moveaxis(jnp.asarray(maps[i]), 0, -1)))
        products = g.mean((0, 1))[:, None, None] * maps[i]
        expected = 0
        base = jax.nn.softmax(answer(blurred[i : i + 1])[0])[TARGETS[i]]
        for first in range(0, 6, 2):  # Six channels make three groups of two.
            group = relu(products[first : first + 2].sum(0))
            mask = stretched(upsampled(group))[None, :, :, None]
            mixed = x[i : i + 1] * mask + blurred[i : i + 1] * (1 - mask)
            gain = jax.nn.softmax(answer(mixed)[0])[TARGETS[i]] - base
            if group.max() > group.min():
                expected = expected + relu(gain) * group
        np.testing.assert_allclose(actual[request][i], expected, rtol=1e-3, atol=1e-6)
