"""A hospital answers requests: consent, policy, acceptance checks, and its own store."""
