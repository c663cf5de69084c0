"""Settings that must stand before torch is imported."""

import os

# Two test processes share two cores: threads that wait for each other by spinning would slow both.
os.environ.setdefault("OMP_NUM_THREADS", "1")
