"""One training run: its loop, losses, adapters and heads."""
