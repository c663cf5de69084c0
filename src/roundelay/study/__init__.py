"""A study as values: its sections, its file, its presets."""
