"""The network, its training loop and its predictions: what a hospital's computer does."""
