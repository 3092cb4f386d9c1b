"""A study: its file, its stages, the laboratory they talk to, the store and the engine behind it."""
