"""PCA's residual: how far an image lies from the plane that the normal images span."""
