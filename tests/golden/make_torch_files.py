"""Makes the files of torch that the reader of state dicts is tested with.

    python tests/golden/make_torch_files.py

needs torch (made with 2.13). Writes `torch_zip.pth`, `torch_legacy.pth`, one of each
form that `torch.save` has had, `torch_program.pt`, which is no file of weights, and
`torch_files.npz` with the values.
"""

from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent


def tensors() -> dict[str, torch.Tensor]:
    """One of each kind: strided, shared, small types, empty, a parameter."""
    generator = torch.Generator().manual_seed(0)
    flat = torch.randn(24, generator=generator)
    shared = torch.arange(12, dtype=torch.float32)
    return {
        "conv.weight": torch.nn.Parameter(flat.reshape(2, 3, 2, 2)),
        "transposed": flat.reshape(4, 6).T,
        "every_second": flat[1::2],
        "first": shared[:5],
        "last": shared[5:].reshape(7, 1),
        "repeated": shared[3].expand(2, 3),
        "double": flat[:3].double(),
        "half": flat[:5].half(),
        "bfloat16": flat[:5].bfloat16(),
        "count": torch.tensor(7),
        "bytes": torch.arange(4, dtype=torch.uint8),
        "flags": torch.tensor([True, False, True]),
        "empty": torch.zeros(0, 3),
    }


class Halved(torch.nn.Module):
    """As small as a program can be."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Half of it."""
        return x / 2


def main() -> None:
    """Writes the files."""
    made = tensors()
    plain = torch.nn.Linear(1, 1).state_dict()  # An ordered dict with metadata.
    plain.clear()
    plain.update(made)
    torch.save(plain, HERE / "torch_zip.pth")
    wrapped = {
        "state_dict": {f"module.{name}": value for name, value in made.items()},
        "epoch": 3,
        "best_accuracy": torch.tensor(0.5),
    }
    torch.save(wrapped, HERE / "torch_legacy.pth", _use_new_zipfile_serialization=False)
    torch.jit.script(Halved()).save(str(HERE / "torch_program.pt"))
    values = {k: v.detach().float().numpy() for k, v in made.items()}
    np.savez(HERE / "torch_files.npz", **values)


if __name__ == "__main__":
    main()
