"""The level ``gpaw``: density-functional theory with plane waves and PAW data sets, by the open code GPAW."""
