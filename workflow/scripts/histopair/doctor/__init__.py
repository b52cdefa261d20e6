"""What a study needs, looked at before any GPU hour: each check gives rows of one table.

A check never stops at its first fault and changes nothing. `rows` says what a row is; each other
file has one subject. Nothing here decides what a rule reads: `plan.needed` does.
"""
