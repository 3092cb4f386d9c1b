"""Ion dynamics: molecular dynamics at any level, and trajectories of any origin read in streaming."""
