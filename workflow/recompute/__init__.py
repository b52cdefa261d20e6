"""Recomputes what a finished run states, from its artifacts and with separate code.

It imports nothing from histopair: it uses scikit-learn, SciPy, scikit-survival and brute force in
float64 instead. Each subject has a module with CHECKS, functions of the results folder that return
a Tally.
"""
