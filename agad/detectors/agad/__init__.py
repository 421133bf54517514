"""AGAD: its configuration, which loads no torch, its networks, losses and training."""
