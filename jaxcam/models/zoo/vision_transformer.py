"""Vision transformers (Dosovitskiy et al. 2020, arXiv:2010.11929; DeiT: 2012.12877).

One network under two sets of names: torchvision's and timm's.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcam._types import Array
from jaxcam.models.zoo import layers

PATCH = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Names:
    """What the parts of a block are called."""

    norm1: str
    attention: str
    packed: str
    projected: str
    norm2: str
    mlp: tuple[str, str, str]


TORCHVISION = Names(
    norm1="ln_1",
    attention="self_attention",
    packed="in_proj",
    projected="out_proj",
    norm2="ln_2",
    mlp=("0", "1", "3"),
)
TIMM = Names(
    norm1="norm1",
    attention="attn",
    packed="qkv",
    projected="proj",
    norm2="norm2",
    mlp=("fc1", "act", "fc2"),
)


class Attention(nnx.Module):
    """Every token reads every token; queries, keys and values are one linear map."""

    def __init__(self, width: int, heads: int, names: Names, *, rngs) -> None:
        self.heads, self.names = heads, names
        setattr(self, names.packed, layers.linear(width, 3 * width, rngs=rngs))
        setattr(self, names.projected, layers.linear(width, width, rngs=rngs))

    def __call__(self, x: Array) -> Array:
        """float[B, T, width]."""
        packed = getattr(self, self.names.packed)(x)
        split = packed.reshape(*x.shape[:2], 3, self.heads, x.shape[2] // self.heads)
        query, key, value = jnp.moveaxis(split, 2, 0)
        mixed = jax.nn.dot_product_attention(query, key, value)
        return getattr(self, self.names.projected)(mixed.reshape(x.shape))


class Block(nnx.Module):
    """Attention and two linear maps, each normalised before and added after."""

    def __init__(self, width: int, heads: int, names: Names, *, rngs) -> None:
        self.names = names
        first, between, last = names.mlp
        setattr(self, names.norm1, layers.layer_norm(width, rngs=rngs))
        setattr(self, names.attention, Attention(width, heads, names, rngs=rngs))
        setattr(self, names.norm2, layers.layer_norm(width, rngs=rngs))
        self.mlp = layers.Sequential(
            {
                first: layers.linear(width, 4 * width, rngs=rngs),
                between: layers.gelu(),
                last: layers.linear(4 * width, width, rngs=rngs),
            }
        )

    def __call__(self, x: Array) -> Array:
        """float[B, T, width]."""
        attention = getattr(self, self.names.attention)
        x = x + attention(getattr(self, self.names.norm1)(x))
        return x + self.mlp(getattr(self, self.names.norm2)(x))


def _patches(width: int, rngs: nnx.Rngs) -> nnx.Conv:
    return layers.conv(3, width, PATCH, stride=PATCH, padding=0, bias=True, rngs=rngs)


def _embedding(rngs: nnx.Rngs, *shape: int) -> nnx.Param:
    return nnx.Param(nnx.initializers.normal(0.02)(rngs.params(), shape))


def _tokens(patches: Array, first: Array, positions: Array) -> Array:
    """float[B, 1 + h w, width]: the class token, the patches, and where they are."""
    x = patches.reshape(len(patches), -1, patches.shape[-1])
    first = jnp.broadcast_to(first, (len(x), *first.shape[1:]))
    return jnp.concatenate([first, x], axis=1) + positions


class Encoder(nnx.Module):
    """Positions, blocks and a last normalisation."""

    def __init__(
        self, width: int, depth: int, heads: int, tokens: int, *, rngs: nnx.Rngs
    ) -> None:
        self.pos_embedding = _embedding(rngs, 1, tokens, width)
        self.layers = layers.Sequential(
            {
                f"encoder_layer_{number}": Block(width, heads, TORCHVISION, rngs=rngs)
                for number in range(depth)
            }
        )
        self.ln = layers.layer_norm(width, rngs=rngs)

    def __call__(self, patches: Array, first: Array) -> Array:
        """float[B, T, width] of a map of patches and the class token."""
        x = _tokens(patches, first, self.pos_embedding[...])
        return self.ln(self.layers(x))


class VisionTransformer(nnx.Module):
    """As torchvision names it; patches of 16 x 16, a class token.

    Args:
      width: Channels of a token.
      depth: Number of blocks.
      heads: Heads of the attention.
      side: Side of the image.
      outputs: Number of classes.
      rngs: For random parameters.
    """

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        *,
        side: int = 224,
        outputs: int = 1000,
        rngs: nnx.Rngs,
    ) -> None:
        tokens = (side // PATCH) ** 2 + 1
        self.conv_proj = _patches(width, rngs)
        self.class_token = _embedding(rngs, 1, 1, width)
        self.encoder = Encoder(width, depth, heads, tokens, rngs=rngs)
        self.heads = layers.Sequential(
            {"head": layers.linear(width, outputs, rngs=rngs)}
        )

    def __call__(self, x: Array) -> Array:
        """float[B, K]."""
        return self.heads(self.encoder(self.conv_proj(x), self.class_token[...])[:, 0])


class DeiT(nnx.Module):
    """As timm names it, without a distillation token; arguments as above."""

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        *,
        side: int = 224,
        outputs: int = 1000,
        rngs: nnx.Rngs,
    ) -> None:
        tokens = (side // PATCH) ** 2 + 1
        self.patch_embed = layers.Sequential({"proj": _patches(width, rngs)})
        self.cls_token = _embedding(rngs, 1, 1, width)
        self.pos_embed = _embedding(rngs, 1, tokens, width)
        blocks = (Block(width, heads, TIMM, rngs=rngs) for _ in range(depth))
        self.blocks = layers.sequential(*blocks)
        self.norm = layers.layer_norm(width, rngs=rngs)
        self.head = layers.linear(width, outputs, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """float[B, K]."""
        x = _tokens(self.patch_embed(x), self.cls_token[...], self.pos_embed[...])
        return self.head(self.norm(self.blocks(x))[:, 0])
