"""Model repositories of NVIDIA Triton, made of bundles."""
