"""What a tuning reads and is made with: the same as its method's runs."""

from types import SimpleNamespace

from histopair.plan import entries, runs


def entry(config, w):
    """What it says; of a fold also `fold_of`, the dataset whose other folds test its samples."""
    said = config["tunings"][w.tuning]
    if "fold" not in config["datasets"][said["dataset"]]["split"]:
        return said
    return said | {"fold_of": entries.shown(config, said["dataset"])}


def artifacts(config, w):
    return runs.artifacts(config, _run(config, w))


def encoder_files(config, w):
    return runs.encoder_files(config, _run(config, w))


def spec(config, w):
    return runs.spec(config, _run(config, w))


def modules(config, w):
    return runs.modules(config, _run(config, w))


def _run(config, w):
    """The wildcards of a run with its first seed, which is the only one of a taught method."""
    return SimpleNamespace(**entry(config, w), seed=entry(config, w)["seeds"][0])
