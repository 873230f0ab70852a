"""Runs exported classifiers. All of it is what an edge device installs: never torch, never onnx."""
