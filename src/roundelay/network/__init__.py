"""What only exists between hospitals."""
