"""Whether a bundle is what was published, and computes what PyTorch computed."""
