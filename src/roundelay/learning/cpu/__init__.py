"""What only a processor needs to be fast: convolutions in bfloat16, and the heap."""
