"""The coordinator asks, and checks what comes back."""
