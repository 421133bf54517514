"""Distributed hyperparameter studies of image anomaly detectors."""
