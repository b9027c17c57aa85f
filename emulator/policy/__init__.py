"""The semantics, as kernels on integer tables."""
