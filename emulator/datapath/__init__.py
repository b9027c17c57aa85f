"""One packet, one place, one time, as kernels."""
