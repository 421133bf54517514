"""Checks of what every detector must do, which a detector's author can run."""
