"""File formats of trajectories: each module reads one, frame by frame, in constant memory."""
