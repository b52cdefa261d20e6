"""Reports as published, to clean chunks of text."""
