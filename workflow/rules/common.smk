# The checked config, the names that wildcards may take, and the fingerprint of code.

import os

from histopair import configuration, errors
from histopair.errors import InputError
from histopair.fingerprint import fingerprint

try:
    config = configuration.load(config)
except InputError as mistake:
    stop(mistake)


def there(path):
    """A path of the config, if it is there or made here; else the end."""
    path = os.path.normpath(path)
    try:
        os.stat(path)
    except FileNotFoundError:
        if Path(path).parts[0] != "results":
            problem = "there is no such file or folder"
            stop(InputError(path, problem, "Correct the path in the config"))
    except OSError as error:
        stop(errors.of_system(path, error))
    return path


wildcard_constraints:
    dataset="|".join(config["datasets"]),
    corpus="|".join(config["corpora"]) or "none",
    encoder="|".join([*config["encoders"], "oracle"]),
    method="|".join(config["methods"]),
    search="|".join(config["searches"]) or "(?!)",
    study="|".join(config["studies"]),
    correction="|".join(["", *(rf"\.{kind}" for kind in configuration.CORRECTIONS)]),
    seed=r"\d+",


def code(script, *modules):
    """Fingerprint of a rule's code: its script, and modules that the script finds by name."""
    return fingerprint(script, *modules)


def runs_of(study):
    """dataset, encoder, method and seed of each run of a study."""
    return configuration.runs(config, study)


def pairs_of():
    """encoder, dataset and corpus of each pairing that the page shows."""
    return configuration.pairings(config)


def base(dataset):
    """The dataset itself, or the one that it is a view of: embeddings and pairs are made of that."""
    return configuration.base(config, dataset)


def dataset_entry(dataset):
    return config["datasets"][base(dataset)]


def encoder_params(encoder):
    """What decides the output of an encoder: not its licence, nor how it is described."""
    entry = config["encoders"][encoder]
    left_out = {"licence", "description", "train", "templates"}
    return {"name": encoder, **{key: entry[key] for key in sorted(set(entry) - left_out)}}


def encoder_files(encoder):
    """Files of an encoder that lie on disk: made by this workflow, or given by path."""
    entry = config["encoders"][encoder]
    if "train" in entry:
        return [f"results/encoders/{encoder}"]
    given = [entry["model"].removeprefix("local-dir:"), entry.get("weights", "")]
    return [path for path in given if path and Path(path).exists()]


def encoder_code(encoder):
    return f"histopair.encoders.{config['encoders'][encoder]['library']}"
