"""Image formats whose samples can be deeper than 8 bits: read by their range, or refused."""
