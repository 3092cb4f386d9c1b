"""Ion transport from trajectories: diffusion, conductivity, van Hove functions, densities, jumps, channels."""
