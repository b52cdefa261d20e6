"""Who reads what, decided from the config alone: no Snakemake here, and nothing that needs torch.

    load          the config, checked, with all defaults
    schema        each key's type, default and meaning
    resolve       what a method takes over from another, and on single datasets
    recipes       what a method's recipe says about itself
    entries       what the config says about datasets, runs and pairings
    fingerprint   the hash of a rule's code
    kept          what a start found in files, for the next start
    given         what the config's own files hold
    needed        what the shown studies need, directly or by way of others
    resources     what a job may use
    data, encoders, pairs, runs, exports, studies, page, analyses
                  inputs and parameters of the rules in the file of that name

A rule's function takes the config and the rule's wildcards (`w`). It returns parameters, or paths,
in a dict if the inputs have names.
"""
