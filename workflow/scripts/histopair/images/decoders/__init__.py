"""Image formats with samples of more than 8 bits: read by their range, or refused."""
