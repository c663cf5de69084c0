"""Atomic writing, canonical JSON, checked files: the only place that writes or syncs."""
