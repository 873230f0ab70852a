"""Runs exported classifiers. All of it is what an edge device installs: never torch, never onnx."""

import os

# ONNX Runtime 1.31 for Linux keeps an id of the device and a file of events in the user's cache and
# knows an address to send them to. It looks at this once, when it is loaded; 0 lets it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
