"""The level ``vasp``, for those who own it: inputs of the source study or the Materials Project; results."""
