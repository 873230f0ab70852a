"""Serves bundles over HTTP: the Open Inference Protocol, images for people, metrics."""
