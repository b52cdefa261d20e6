"""From datasets as published to clean labels and honest splits."""
