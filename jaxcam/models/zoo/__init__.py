"""Networks as nnx modules whose paths mirror the published parameter names."""
