"""The phantom: a synthetic world of patients, tiles and texts whose truth is known."""
