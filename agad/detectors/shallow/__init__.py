"""Detectors that fit once on features: six of scikit-learn's kind, and two that need labels."""
