"""The CUDA runtime and the GPU behind it, as far as running an engine takes them."""
