"""Recomputes what a finished run states, from its artifacts and by code of its own.

Nothing of histopair is imported: scikit-learn, SciPy, scikit-survival and brute force in float64
stand against it. One module a subject; each has CHECKS, functions of the results folder that give
a Tally.
"""
