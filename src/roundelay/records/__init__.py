"""What a run leaves behind: folder, arms, verification, traffic; and how it is read back."""
