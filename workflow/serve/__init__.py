"""The second read: a local page, and the same as JSON, that answers with exported models.

A request passes `guard` (who may ask, how much at once), then a route of `api`, which computes in
the one worker thread of a `desk`. Nothing here predicts: `histopair.export` does.
"""
