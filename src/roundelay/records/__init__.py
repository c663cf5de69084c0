"""What a run leaves behind: folder, arms, verification, traffic, and reading it back."""
