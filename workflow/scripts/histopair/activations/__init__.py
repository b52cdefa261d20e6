"""Frozen trunks, whose activations are computed once."""
