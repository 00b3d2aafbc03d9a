"""What is explained: a class, two classes held against one another, any function."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcam import methods

PAIRS = jnp.array([[3, 0], [1, 4], [2, 1]])
QUICK = {
    "integrated_gradients": "steps=2",
    "is_cam": "steps=2",
    "occlusion": "stride=0.5,window=0.5",
    "opti_cam": "steps=2",
    "rise": "samples=4",
    "smooth_grad": "samples=2",
    "smooth_grad_cam_plus_plus": "samples=2",
    "ss_cam": "samples=2",
}
CLASSES_ONLY = {"finer_cam"}


def requests():
    for name, spec in methods.table().items():
        if name not in CLASSES_ONLY and spec.kind != "baseline":
            options = QUICK.get(name)
            yield f"{name}[{options}]" if options else name


@pytest.mark.slow
def test_every_method_answers_a_contrast_as_the_function_that_it_is(
    tiny_model, images, explain
):
    model, x = tiny_model(), images()
    asked = list(requests())
    assert len(asked) > 20

    def difference(logits, target):
        return jnp.sum(logits[target] * jnp.array([1.0, -1.0]))

    _, _, named = explain(model, x, asked, targets=PAIRS, score=methods.class_contrast)
    _, _, free = explain(model, x, asked, targets=PAIRS, score=difference)
    _, _, of_class = explain(model, x, asked, targets=PAIRS[:, 0])
    for name, maps in named.items():
        np.testing.assert_allclose(free[name], maps, atol=1e-4, err_msg=name)
        assert np.isfinite(maps).all(), name
        if not name.startswith("eigen_cam"):
            assert not np.allclose(maps, of_class[name], atol=1e-6), name


def test_a_method_that_compares_classes_refuses_a_contrast(tiny_model, images, explain):
    with pytest.raises(ValueError, match="give one class an image"):
        explain(
            tiny_model(),
            images(),
            ["finer_cam"],
            targets=PAIRS,
            score=methods.class_contrast,
        )
