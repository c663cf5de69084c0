"""The only files that know NVIDIA FLARE: kits, jobs, the transport."""
