"""Worker processes over Ray, on which sites take their turns: one machine, its GPUs, or several."""
