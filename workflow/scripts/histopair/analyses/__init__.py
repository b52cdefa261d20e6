"""What a study shows beside its table: where text helps, what was distilled, what it costs.

Each analysis is a module with COLUMNS and a function that makes its table; `analysis_figures` draws
them and `outputs` writes their files. They run by name, for any study.
"""
