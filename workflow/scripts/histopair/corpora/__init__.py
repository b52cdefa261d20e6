"""Reports as published, to clean sections, and to the chunks that a retriever reads."""
