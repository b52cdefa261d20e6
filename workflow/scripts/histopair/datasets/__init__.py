"""Datasets as published, to clean labels and honest splits."""
