"""Machine-learned potentials: sparse Gaussian-process regression, its training, evaluation and dynamics."""
