"""Frozen blocks, whose activations are computed once."""
