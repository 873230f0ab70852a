"""Transforms a PyTorch classifier into the graph that runs elsewhere."""
