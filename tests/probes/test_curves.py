"""Insertion, deletion, flipping and patches on models whose answer is arithmetic."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from jaxcam import metrics, plan, probes
from jaxcam.metrics import removal_curves
from jaxcam.probes import canvases, curves, inputs, removal_order

SHAPE = (6, 5)
RNG = np.random.default_rng(0)
WEIGHTS = jnp.asarray(RNG.normal(size=(*SHAPE, 2)), jnp.float32)
X = jnp.asarray(RNG.normal(size=(3, *SHAPE, 2)), jnp.float32)
BLACK = jnp.asarray([[-2.0, -1.0]] * 3)
WHITE = jnp.asarray([[2.0, 3.0]] * 3)
SALIENCY = jnp.asarray(RNG.random((3, *SHAPE)), jnp.float32)
FRAME = jnp.ones((3, *SHAPE), bool)
TARGET = jnp.array([0, 1, 0])
KEYS = jax.random.split(jax.random.key(0), 3)


def additive(x):
    """Logits that are sums over pixels, of opposite signs."""
    total = jnp.einsum("bhwc,hwc->b", x, WEIGHTS)
    return jnp.stack([total, -total], axis=1)


def score_of(x, score):
    logits = additive(x)
    values = jax.nn.softmax(logits) if score == "probability" else logits
    return np.asarray(values)[np.arange(len(x)), TARGET]


def call(probe, score="logit", saliency=SALIENCY, x=X, **options):
    return probe(
        additive,
        x,
        BLACK,
        WHITE,
        saliency,
        FRAME,
        TARGET,
        jnp.asarray(score_of(x, score)),
        KEYS,
        score=score,
        **options,
    )


def literal(x, canvas, counts, score, inserted):
    """The curve as its definition reads: one pixel after the other, image by image."""
    found = np.zeros((len(x), len(counts)))
    for i in range(len(x)):
        order = np.argsort(-np.asarray(SALIENCY[i]).ravel(), kind="stable")
        start, finish = (canvas, x) if inserted else (x, canvas)
        for k, count in enumerate(counts):
            now = np.array(start[i]).reshape(-1, x.shape[-1])
            now[order[:count]] = np.asarray(finish[i]).reshape(now.shape)[order[:count]]
            altered = np.broadcast_to(now.reshape(1, *x.shape[1:]), x.shape)
            found[i, k] = score_of(jnp.asarray(altered), score)[i]
    return found


@pytest.mark.parametrize("score", ["logit", "probability"])
@pytest.mark.parametrize(
    ("options", "counts"),
    [
        pytest.param({"steps": 30}, range(31), id="a pixel a step"),
        pytest.param({"steps": 4}, (0, 7, 15, 22, 30), id="steps"),
        pytest.param(
            {"pixels_per_step": 8}, (0, 8, 16, 24, 30), id="the last step is shorter"
        ),
    ],
)
def test_curves_are_those_of_a_literal_loop(options, counts, score):
    for probe, name, inserted in (
        (probes.insertion_scores, "insertion", True),
        (probes.deletion_scores, "deletion", False),
    ):
        out = call(probe, score, canvas="mean", **options)
        canvas = jnp.broadcast_to(X.mean((1, 2), keepdims=True), X.shape)
        expected = literal(X, canvas, tuple(counts), score, inserted)
        np.testing.assert_allclose(
            out[f"{name}_scores"], expected, rtol=1e-4, atol=1e-4
        )
        fractions = np.array(counts) / 30
        np.testing.assert_allclose(out[f"{name}_fractions"][1], fractions, rtol=1e-6)
        area = getattr(metrics, name)(out[f"{name}_scores"][1], fractions)
        np.testing.assert_allclose(
            area, np.trapezoid(expected[1], fractions), rtol=1e-4, atol=1e-5
        )


def test_the_areas_of_an_additive_model_add_up():
    """Insertion + deletion = f(x) + f(canvas), whatever the map, for one canvas."""
    options = {"canvas": "constant", "value": 0.3, "steps": 15}
    inserted = call(probes.insertion_scores, **options)
    deleted = call(probes.deletion_scores, **options)
    ends = score_of(X, "logit") + score_of(jnp.full_like(X, 0.3), "logit")
    areas = [
        metrics.insertion(inserted["insertion_scores"][i], f)
        + metrics.deletion(deleted["deletion_scores"][i], f)
        for i, f in enumerate(inserted["insertion_fractions"])
    ]
    np.testing.assert_allclose(areas, ends, rtol=1e-4, atol=1e-4)


def test_four_pixels_worked_by_hand():
    """A classifier that adds four pixels, the second of which is not salient."""
    x = jnp.array([4.0, 3.0, 2.0, 1.0]).reshape(1, 2, 2, 1)

    def total(x):
        first = x.sum((1, 2, 3))
        return jnp.stack([first, jnp.zeros_like(first)], axis=1)

    given = (
        jnp.array([[[9.0, 0.0], [5.0, 1.0]]]),
        jnp.ones((1, 2, 2), bool),
        jnp.array([0]),
        jnp.array([10.0]),
        KEYS[:1],
    )
    side = jnp.zeros((1, 1)), jnp.ones((1, 1))
    options = {"steps": 4, "score": "logit"}
    out = probes.deletion_scores(total, x, *side, *given, **options)
    np.testing.assert_allclose(out["deletion_scores"], [[10, 6, 4, 3, 0]])
    area = metrics.deletion(out["deletion_scores"][0], out["deletion_fractions"][0])
    assert area == (5 + 6 + 4 + 3 + 0) / 4
    out = probes.insertion_scores(total, x, *side, *given, canvas="zero", **options)
    np.testing.assert_allclose(out["insertion_scores"], [[0, 4, 6, 7, 10]])


@pytest.mark.parametrize(
    ("pixels", "options", "deleted", "areas"),
    [
        ((0.4, 0.3, 0.2, 0.1), {"steps": 2}, (1, 0.3, 0), (0.4, 0.6)),
        (
            (0.3, 0.25, 0.2, 0.15, 0.1),
            {"pixels_per_step": 2},
            (1, 0.45, 0.1, 0),
            (0.41, 0.59),
        ),
    ],
)
def test_values_that_torch_cam_tests(pixels, options, deleted, areas):
    """A classifier that adds its pixels, explained by the pixels themselves."""
    x = jnp.array(pixels).reshape(1, 1, -1, 1)

    def total(x):
        first = x.sum((1, 2, 3))
        return jnp.stack([first, 1 - first], axis=1)

    given = (
        x[..., 0],
        jnp.ones(x.shape[:3], bool),
        jnp.array([0]),
        jnp.array([1.0]),
        KEYS[:1],
    )
    side = jnp.zeros((1, 1)), jnp.ones((1, 1))
    options = {"score": "logit", "canvas": "zero"} | options
    out = probes.deletion_scores(total, x, *side, *given, **options)
    np.testing.assert_allclose(out["deletion_scores"][0], deleted, atol=1e-6)
    area = metrics.deletion(out["deletion_scores"][0], out["deletion_fractions"][0])
    np.testing.assert_allclose(area, areas[0], rtol=1e-5)
    out = probes.insertion_scores(total, x, *side, *given, **options)
    np.testing.assert_allclose(
        out["insertion_scores"][0], 1 - np.array(deleted), atol=1e-6
    )
    area = metrics.insertion(out["insertion_scores"][0], out["insertion_fractions"][0])
    np.testing.assert_allclose(area, areas[1], rtol=1e-5)


def test_a_map_on_another_grid_is_brought_to_the_model():
    doubled = jnp.repeat(jnp.repeat(SALIENCY, 2, axis=1), 2, axis=2)
    wide = jnp.pad(doubled, ((0, 0), (0, 3), (0, 1)), constant_values=9.0)
    frame = jnp.pad(jnp.ones_like(doubled, bool), ((0, 0), (0, 3), (0, 1)))
    out = probes.deletion_scores(
        additive,
        X,
        BLACK,
        WHITE,
        wide,
        frame,
        TARGET,
        jnp.asarray(score_of(X, "logit")),
        KEYS,
        score="logit",
        steps=10,
    )
    straight = call(probes.deletion_scores, steps=10)
    np.testing.assert_allclose(
        out["deletion_scores"], straight["deletion_scores"], rtol=1e-5
    )


def test_equally_salient_pixels_follow_the_key_or_the_raster():
    flat = jnp.zeros((3, *SHAPE))
    raster = removal_order.places(flat, KEYS, "raster")
    np.testing.assert_array_equal(raster[0], np.arange(30).reshape(SHAPE))
    reverse = removal_order.places(flat, KEYS, "reverse_raster")
    np.testing.assert_array_equal(reverse[0], np.arange(30)[::-1].reshape(SHAPE))
    drawn = np.asarray(removal_order.places(flat, KEYS, "random"))
    assert (np.sort(drawn.reshape(3, -1)) == np.arange(30)).all()
    assert (drawn[0] != drawn[1]).any()
    again = np.asarray(removal_order.places(flat[1:2], KEYS[1:2], "random"))
    np.testing.assert_array_equal(again[0], drawn[1])


def test_places_are_descending_and_zeros_are_one_value():
    values = jnp.array([[[0.0, -0.0, 2.0, -1.0, jnp.inf, 0.0]]])
    place = removal_order.places(values, KEYS[:1], "raster")
    np.testing.assert_array_equal(place[0, 0], [2, 3, 1, 5, 0, 4])


def test_what_is_answered_does_not_depend_on_how_many_are_asked(monkeypatch):
    whole = call(probes.insertion_scores, "probability", steps=20)["insertion_scores"]
    monkeypatch.setattr(inputs, "VALUES_AT_A_TIME", 1)
    one = call(probes.insertion_scores, "probability", steps=20)["insertion_scores"]
    np.testing.assert_allclose(one, whole, rtol=1e-5)


def test_batch_mates_change_no_bit():
    out = call(probes.deletion_scores, "probability", steps=9)["deletion_scores"]
    mates = jnp.stack([SALIENCY[0], 7 * SALIENCY[0], SALIENCY[1]])
    other = call(probes.deletion_scores, "probability", saliency=mates, steps=9)
    np.testing.assert_array_equal(out[0], other["deletion_scores"][0])


def test_a_nan_in_the_map_is_no_order():
    broken = SALIENCY.at[1, 2, 2].set(jnp.nan)
    for probe, name in (
        (probes.insertion_scores, "insertion_scores"),
        (probes.deletion_scores, "deletion_scores"),
        (functools.partial(probes.patch_scores, patch=2), "patch_scores"),
    ):
        out = call(probe, saliency=broken, steps=5)[name]
        assert np.isnan(out[1]).all()
        assert np.isfinite(out[0]).all()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"kind": "zero"}, 0.0),
        ({"kind": "zero", "masking_space": "pixel"}, BLACK[:, None, None]),
        ({"kind": "constant", "value": 0.25}, 0.25),
        (
            {"kind": "constant", "value": 0.25, "masking_space": "pixel"},
            (0.75 * BLACK + 0.25 * WHITE)[:, None, None],
        ),
        ({"kind": "mean"}, X.mean((1, 2), keepdims=True)),
        ({"kind": "inverted"}, (BLACK + WHITE)[:, None, None] - X),
    ],
)
def test_canvases(options, expected):
    canvas = canvases.canvas(X, BLACK, WHITE, **options)
    np.testing.assert_allclose(canvas, np.broadcast_to(expected, X.shape), rtol=1e-6)


def test_the_blur_is_that_of_rise():
    """A delta blurred by SciPy is its kernel, and zeros lie beyond the border."""
    delta = np.zeros((11, 11))
    delta[5, 5] = 1
    kernel = scipy.ndimage.gaussian_filter(delta, 5)
    line = canvases.rise_kernel(11, 5.0)
    np.testing.assert_allclose(np.outer(line, line), kernel, atol=1e-7)
    x = jnp.asarray(RNG.normal(size=(1, 14, 13, 2)), jnp.float32)
    canvas = canvases.canvas(x, BLACK[:1], WHITE[:1], kind="blur")
    for c in range(2):
        expected = scipy.ndimage.correlate(x[0, ..., c], kernel, mode="constant")
        np.testing.assert_allclose(canvas[0, ..., c], expected, rtol=1e-4, atol=1e-5)


def test_black_lies_beyond_a_blurred_image_in_the_pixel_space():
    canvas = canvases.canvas(X, BLACK, WHITE, kind="blur", masking_space="pixel")
    black = BLACK[:, None, None]
    lifted = canvases.canvas(X - black, 0 * BLACK, WHITE, kind="blur")
    np.testing.assert_allclose(canvas, lifted + black, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("preset", "counts"),
    [
        ("torchcam", [*range(0, 50176, 2509), 50176]),
        ("xplique", np.linspace(0, 50176, 11, dtype=int)),
        ("groupcam", range(0, 50177, 448)),
        ("rise", range(0, 50177, 224)),
    ],
)
def test_presets_have_the_points_of_the_codes_they_name(preset, counts):
    for name in ("insertion", "deletion"):
        (scores, _) = plan.probe_fields([plan.resolve(name, preset=preset)])
        options = dict(scores.options)
        found = curves.point_counts(
            50176,
            options.get("steps"),
            options.get("pixels_per_step"),
            whole_steps=options.get("whole_steps", False),
        )
        np.testing.assert_array_equal(found, counts)
        expected = "raster" if preset == "torchcam" else "reverse_raster"
        assert options["ties"] == expected


def test_the_reflected_blur_is_a_gaussian_in_a_window():
    x = jnp.asarray(RNG.normal(size=(1, 14, 13, 2)), jnp.float32)
    options = {"kind": "reflected_blur", "blur_size": 7, "blur_sigma": 3.0}
    canvas = canvases.canvas(x, BLACK[:1], WHITE[:1], **options)
    line = np.exp(-0.5 * (np.arange(-3, 4) / 3.0) ** 2)
    line /= line.sum()
    kernel = np.outer(line, line)
    for c in range(2):
        expected = scipy.ndimage.correlate(x[0, ..., c], kernel, mode="mirror")
        np.testing.assert_allclose(canvas[0, ..., c], expected, rtol=1e-4, atol=1e-5)


def test_flipping_inverts_the_most_salient_pixels():
    out = call(probes.flipping_scores, steps=6)
    canvas = (BLACK + WHITE)[:, None, None] - X
    expected = literal(X, canvas, (0, 5, 10, 15, 20, 25, 30), "logit", False)
    np.testing.assert_allclose(out["flipping_scores"], expected, rtol=1e-4, atol=1e-4)


def test_patches_go_in_the_order_of_their_sums():
    """6 x 5 pixels are 3 x 3 patches of 2 pixels, the last column one pixel wide."""
    out = call(probes.patch_scores, steps=3, patch=2)["patch_scores"]
    noise = curves._uniform_noise(KEYS, X, BLACK, WHITE)
    for i in range(3):
        parts = [np.s_[r : r + 2, c : c + 2] for r in (0, 2, 4) for c in (0, 2, 4)]
        parts.sort(key=lambda part: -float(SALIENCY[i][part].sum()))
        now, expected = np.array(X), [score_of(X, "logit")[i]]
        for part in parts[:3]:
            now[i][part] = noise[i][part]
            expected.append(score_of(jnp.asarray(now), "logit")[i])
        np.testing.assert_allclose(out[i], expected, rtol=1e-4, atol=1e-4)
        loss = np.mean(expected[0] - np.array(expected))
        np.testing.assert_allclose(metrics.aopc(out[i]), loss, rtol=1e-3, atol=1e-4)


def test_no_more_patches_than_there_are():
    assert call(probes.patch_scores, steps=100, patch=3)["patch_scores"].shape == (3, 5)


@pytest.mark.parametrize(
    ("probe", "options", "message"),
    [
        (probes.insertion_scores, {"steps": 0}, "between 1 and"),
        (probes.insertion_scores, {"steps": 31}, "between 1 and"),
        (
            probes.deletion_scores,
            {"steps": None, "pixels_per_step": 31},
            "between 1 and",
        ),
        (probes.deletion_scores, {"pixels_per_step": 3}, "exclude each other"),
        (probes.deletion_scores, {"value": 0.7}, "does not read value"),
        (probes.insertion_scores, {"canvas": "mean", "blur_size": 3}, "does not read"),
        (probes.insertion_scores, {"canvas": "grey"}, "canvas"),
        (probes.insertion_scores, {"ties": "none"}, "ties"),
        (probes.insertion_scores, {"canvas": "blur", "blur_size": 4}, "odd"),
        (probes.insertion_scores, {"canvas": "blur", "blur_sigma": 0.0}, "positive"),
        (
            probes.insertion_scores,
            {"canvas": "reflected_blur", "blur_size": 51},
            "too large",
        ),
        (probes.patch_scores, {"patch": 0}, "at least 1"),
        (probes.patch_scores, {"steps": 0}, "at least 1"),
    ],
)
def test_refusals(probe, options, message):
    options = {"steps": 5} | options
    with pytest.raises(ValueError, match=message):
        call(probe, **options)


def test_cutting_out_a_box():
    """The box covers rows 0-1 and columns 0-1 of a truth grid twice as fine."""
    frame = jnp.ones((1, 12, 10), bool)
    box = jnp.array([[0, 0, 4, 3]])  # The second column's centre lies at 3: outside.
    out = probes.cut_out_score(
        additive, X[:1], BLACK[:1], WHITE[:1], box, frame, TARGET[:1], score="logit"
    )
    cut = X[:1].at[0, :2, :1].set(0.0)
    np.testing.assert_allclose(out["cut_out_score"], additive(cut)[:, 0], rtol=1e-5)
    small = jnp.array([[4, 4, 5, 5]])  # On a grid twice as fine: no centre inside.
    out = probes.cut_out_score(
        additive, X[:1], BLACK[:1], WHITE[:1], small, frame, TARGET[:1], score="logit"
    )
    cut = X[:1].at[0, 2, 2].set(0.0)
    np.testing.assert_allclose(out["cut_out_score"], additive(cut)[:, 0], rtol=1e-5)
    empty = probes.cut_out_score(
        additive, X[:1], BLACK[:1], WHITE[:1], 0 * box, frame, TARGET[:1]
    )
    assert np.isnan(empty["cut_out_score"]).all()


def test_mean_area_is_the_area_under_the_mean():
    values = RNG.random((6, 5))
    values[2, 3] = np.nan
    weights = np.array([[1, 1, 1, 1, 1, 1], [0, 2, 5, 0, 1, 3], [0, 0, 1, 0, 0, 0]])
    found = removal_curves.mean_area(values, weights)
    areas = np.trapezoid(values, axis=1) / 4
    kept = [0, 1, 3, 4, 5]
    expected = [np.average(areas[kept], weights=weights[r][kept]) for r in (0, 1)]
    np.testing.assert_allclose(found[:2], expected)
    assert np.isnan(found[2])
