"""Random fields of one image, for tests that call every metric."""

import zlib

import jax
import jax.numpy as jnp
import numpy as np

SHAPE = (12, 17)


def rectangle(rng, shape):
    """A random non-empty box `[y0, x0, y1, x1]`."""
    low = [rng.integers(0, n - 2) for n in shape]
    high = [rng.integers(a + 2, n + 1) for a, n in zip(low, shape, strict=True)]
    return np.array([*low, *high])


def raster(box, shape):
    mask = np.zeros(shape, bool)
    mask[box[0] : box[2], box[1] : box[3]] = True
    return mask


def fields(seed, kind="random", shape=SHAPE):
    """Everything a metric may name, as arrays of one image.

    `kind` is one of "random", "constant", "one pixel", "huge": what the map is like.
    """
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode())])
    map_ = {
        "random": rng.random(shape),
        "constant": np.full(shape, 0.4),
        "one pixel": np.eye(1, shape[0] * shape[1], 31).reshape(shape),
        "huge": rng.random(shape) ** 8,
    }[kind].astype(np.float32)
    map_ = map_ / map_.max()
    truth, predicted, other = (rectangle(rng, shape) for _ in range(3))
    where = rng.random(shape) < 0.9
    p, o, crop = rng.uniform(0.05, 0.95, 3).astype(np.float32)
    made = {
        "saliency": map_,
        "raw_saliency": map_ * (1e6 if kind == "huge" else 3.0),
        "mask": raster(truth, shape),
        "where": where,
        "frame": np.ones(shape, bool),
        "boxes": np.stack([truth, other]).astype(np.float32),
        "box_valid": np.array([True, False]),
        "predicted": raster(predicted, shape),
        "truth": raster(truth, shape),
        "predicted_mask": raster(predicted, shape),
        "predicted_box": predicted.astype(np.int32),
        "salient_box": predicted.astype(np.int32),
        "salient_mask": raster(predicted, shape),
        "target": np.int32(3),
        "predicted_class": np.int32(3),
        "correct": np.bool_(seed % 2 == 0),
        "correct_top5": np.bool_(True),
        "label_known": np.bool_(True),
        "probability": p,
        "masked_probability": o,
        "logit": p * 9,
        "masked_logit": o * 9,
        "image_score": p,
        "masked_image_score": o,
        "crop_probability": crop,
    }
    sums, drops = rng.random((2, 3, 24)).astype(np.float32)
    made |= {
        "subset_sums": sums[0],
        "subset_drops": drops[0],
        "sized_subset_sums": sums,
        "sized_subset_drops": drops,
        "revealed_scores": np.sort(drops[1]) if seed % 2 else drops[1],
        "cell_sums": sums[1],
        "cell_effects": drops[1],
        "perturbation_products": sums[2] * 50,
        "perturbation_drops": drops[2],
        "masked_saliency": 0.7 * map_ + 0.3 * rng.random(shape, np.float32),
        "other_saliency": rng.random(shape, np.float32),
        "randomized_saliency": rng.random((2, *shape), np.float32),
        "neighbour_changes": drops[0],
        "relative_neighbour_changes": np.where(drops[0] > 0.3, sums[0], -np.inf),
    }
    made |= {
        "region_energies": rng.dirichlet(np.ones(3)).astype(np.float32),
        "region_effects": rng.uniform(-0.5, 1.0, 3).astype(np.float32),
        "evidence_parts": np.indices(shape).sum(axis=0) % 3
        == np.arange(3)[:, None, None],
    }
    curves = rng.random((4, 9)).astype(np.float32)
    made |= {
        "insertion_scores": np.sort(curves[0]),
        "insertion_fractions": np.linspace(0, 1, 9, dtype=np.float32),
        "deletion_scores": np.sort(curves[1])[::-1],
        "deletion_fractions": np.linspace(0, 1, 9, dtype=np.float32),
        "flipping_scores": np.sort(curves[2])[::-1],
        "flipping_fractions": np.linspace(0, 1, 9, dtype=np.float32),
        "patch_scores": curves[3],
        "cut_out_score": o,
        "road_morf_scores": curves[0] * 0.5,
        "road_lerf_scores": curves[1],
        "road_morf_hits": (curves[0] > 0.7).astype(np.float32),
        "road_lerf_hits": (curves[1] > 0.3).astype(np.float32),
    }
    made = {name: jnp.asarray(value) for name, value in made.items()}
    made["key"] = jax.random.key(seed)
    made["threshold_tree"] = None  # Found anew by each metric that reads it.
    return made
