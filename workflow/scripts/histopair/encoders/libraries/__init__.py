"""Libraries of encoders, one a file: `load(entry, weights)`, and `KEYS` of its config entry."""
