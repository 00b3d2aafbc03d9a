"""Figures show the numbers that they claim to show."""

import numpy as np
import pytest
from matplotlib import colors, rcParams

import jaxcam
from jaxcam import plot, results
from jaxcam.charts import appearance
from jaxcam.metrics import box_accuracy


@pytest.fixture(scope="module")
def result():
    rng = np.random.default_rng(0)
    methods, images = ("cam", "grad_cam", "uniform"), 20
    index = np.repeat(np.arange(images), 3)
    base = rng.random((60,)).astype(np.float32)
    return results.Result.from_columns(
        {
            "index": index,
            "id": [f"i{i}" for i in index],
            "method": [*methods] * images,
            "dice": base,
            "dice[region=box]": np.sqrt(base),
            "pointing_game": (base > 0.5).astype(np.float32),
            "insertion_curve": rng.random((60, 9), np.float32),
            "max_box_accuracy": rng.random((60, 10), np.float32),
        }
    )


def line_of(figure, label):
    return next(x for x in figure.axes[0].lines if x.get_label() == label)


def test_curves_are_means_with_bands(result):
    made = plot.curves(result, resamples=200)
    drawn = line_of(made, "cam")
    expected = result.values("insertion_curve", "cam").mean(axis=0)
    np.testing.assert_allclose(drawn.get_ydata(), expected, rtol=1e-6)
    np.testing.assert_allclose(drawn.get_xdata(), np.linspace(0, 1, 9))
    band = made.axes[0].collections[0].get_paths()[0].vertices
    low = [band[np.isclose(band[:, 0], x), 1].min() for x in drawn.get_xdata()]
    high = [band[np.isclose(band[:, 0], x), 1].max() for x in drawn.get_xdata()]
    assert (low < expected).all()
    assert (high > expected).all()
    # A band of the mean of 20 values in [0, 1]: about 2 x 1.96 x .29 / sqrt(20).
    assert 0.15 < np.mean(np.subtract(high, low)) < 0.35


def test_box_accuracy_marks_the_best_threshold(result):
    made = plot.box_accuracy(result, sigma=0.7, resamples=100)
    values = result.values("max_box_accuracy", "cam")
    expected = np.mean(values >= np.float32(0.7), axis=0)
    np.testing.assert_allclose(line_of(made, "cam").get_ydata(), expected)
    dots = [x for x in made.axes[0].lines if x.get_marker() == "o"]
    best = box_accuracy.best_threshold(values, sigma=0.7)[0]
    assert (best, expected.max()) in [
        (x.get_xdata()[0], pytest.approx(x.get_ydata()[0])) for x in dots
    ]
    assert "0.7" in made.axes[0].get_ylabel()


def test_distributions_show_means_and_ridges(result):
    made = plot.distribution(result, "dice")
    axes = made.axes[0]
    means = [x.get_xdata()[0] for x in axes.lines if x.get_marker() == "o"]
    expected = [result.values("dice", m).mean() for m in ("cam", "grad_cam", "uniform")]
    np.testing.assert_allclose(means, expected, rtol=1e-6)
    assert len(axes.patches) == 3
    counts = axes.patches[0].get_data().values
    assert (counts - axes.patches[0].get_data().baseline > 0).any()
    # Yes and no has no ridge.
    assert not plot.distribution(result, "pointing_game").axes[0].patches


def test_boxes_and_masks_are_joined(result):
    made = plot.box_against_mask(result, ("dice", "dice[region=box]"))
    dots = [x for x in made.axes[0].lines if x.get_marker() in ("o", "s")]
    shown = {(x.get_marker(), round(float(x.get_xdata()[0]), 4)) for x in dots}
    for marker, metric in (("o", "dice"), ("s", "dice[region=box]")):
        for method in result.methods:
            mean = float(result.values(metric, method).mean())
            assert (marker, round(mean, 4)) in shown


def test_the_matrix_holds_every_pair_once():
    records = [
        {"a": "x", "b": "y", "estimate": 0.8, "low": 0.6, "high": 0.9},
        {"a": "x", "b": "z", "estimate": -0.1, "low": -0.3, "high": 0.2},
        {"a": "y", "b": "z", "estimate": -0.5, "low": -0.7, "high": -0.2},
        {"a": "x", "b": "flat", "estimate": np.nan, "low": np.nan, "high": np.nan},
    ]
    made = plot.correlation(records)
    axes = made.axes[0]
    texts = {t.get_text(): t for t in axes.texts}
    assert set(texts) == {".80", "-.10", "-.50"}
    # What cannot be told from 0 is small.
    assert texts["-.10"].get_fontsize() < texts[".80"].get_fontsize()
    assert texts[".80"].get_position() == (0.5, 0.5)
    assert [t.get_text() for t in axes.get_yticklabels()] == ["y", "z"]
    with pytest.raises(ValueError, match="no two metrics"):
        plot.correlation(records[3:])


def test_colours_are_told_apart_and_even_in_lightness():
    import matplotlib

    def luminance(colour):
        rgb = np.array(colors.to_rgb(colour))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    def lightness(name, at):
        found = [luminance(c) for c in matplotlib.colormaps[name](at)]
        return 116 * np.cbrt(found) - 16

    steps = np.diff(lightness(plot.COLORMAP, np.linspace(0, 1, 64)))
    assert (steps > 0).all()
    for at in (np.linspace(0.5, 1, 32), np.linspace(0.5, 0, 32)):
        # Lightness leads away from the middle on either side.
        assert np.ptp(lightness(appearance.DIVERGING, at)) > 40
    assert len(set(appearance.COLOURS)) == len(appearance.COLOURS)


def test_figures_show_themselves_in_notebooks(result):
    for made in (
        plot.distribution(result, "dice"),
        plot.overlay(np.zeros((8, 8, 3), np.uint8), np.eye(4)),
    ):
        assert made._repr_png_().startswith(b"\x89PNG")


def test_matplotlib_keeps_its_settings(result):
    before = dict(rcParams)
    plot.distribution(result, "dice")
    assert dict(rcParams) == before


def test_names_are_no_formulas(result):
    made = plot.distribution({"costs $1$_2": result, "b": result}, "dice")
    labels = made.axes[0].get_yticklabels()
    assert labels[0].get_text() == "cam @ costs $1$_2"
    assert not any(label.get_parse_math() for label in labels)


def test_what_cannot_be_drawn_is_refused(result):
    with pytest.raises(ValueError, match="no curve 'deletion_curve'"):
        plot.curves(result, "deletion_curve")
    with pytest.raises(ValueError, match="no curve 'dice'"):
        plot.box_accuracy(result, "dice")
    with pytest.raises(ValueError, match="no number 'road'"):
        plot.distribution(result, "road")


def test_an_overlay_shows_map_and_outlines():
    image = np.full((16, 24, 3), 128, np.uint8)
    truth = np.zeros((16, 24), bool)
    truth[4:12, 6:18] = True
    made = plot.overlay(image, np.eye(4), truth=truth, predicted=~truth, title="x")
    assert made.axes[0].get_title() == "x"
    assert len(made.axes[0].collections) == 2
    shown = made.axes[0].images[0].get_array()
    np.testing.assert_allclose(shown, plot.blended(image, np.eye(4)))
    with pytest.raises(ValueError, match="bring the mask to the image's grid"):
        plot.overlay(image, np.eye(4), truth=truth[:4])
    with pytest.raises(ValueError, match="shape"):
        plot.overlay(image[..., 0], np.eye(4))
    assert jaxcam.plot is plot
