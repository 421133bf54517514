"""Detectors that score every patch of an image, and say where the image is anomalous."""
