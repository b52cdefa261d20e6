"""What a study shows beside its table: where text helps, what was distilled, what it costs.

Each analysis is a module with COLUMNS and a function that makes its table; `figures` draws them and
`page` writes their files below results/analyses/. They run by name, for any study.
"""
