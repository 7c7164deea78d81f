"""Fillings of the Embedder seam that run on this machine."""
