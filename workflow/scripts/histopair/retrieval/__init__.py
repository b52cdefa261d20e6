"""Images paired with reports, and how good a pairing is."""
