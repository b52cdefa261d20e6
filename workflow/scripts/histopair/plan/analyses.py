"""Which analyses a study's methods allow, and what each reads."""

from types import SimpleNamespace

from histopair.plan import encoders, entries, exports, recipes, runs, studies
from histopair.plan.places import RUN, TEXTS, of_runs


def named(config, w):
    """The analyses of a study, in the order of its page."""
    return of_study(config, w.study)


def of_study(config, study):
    w = SimpleNamespace(study=study)
    possible = {
        "complementarity": "complementarity" in config["studies"][study],
        "distillation": distilled_runs(config, w),
        "tsne": distilled_runs(config, w),
        "cost": _costed_methods(config, w),
    }
    return [name for name, possible_here in possible.items() if possible_here]


def analysed(config):
    """The studies that have any."""
    return [study for study in config["studies"] if of_study(config, study)]


def studies_with(config, analysis):
    """The studies that have an analysis."""
    return [study for study in config["studies"] if analysis in of_study(config, study)]


def files(config, w, end):
    return [f"results/analyses/{w.study}.{name}.{end}" for name in named(config, w)]


def compared(config, w):
    """The two methods whose errors are compared."""
    return config["studies"][w.study]["complementarity"]


def compared_runs(config, w):
    pair = compared(config, w).values()
    return [run for run in studies.runs(config, w) if run["method"] in pair]


def compared_predictions(config, w):
    return of_runs(compared_runs(config, w), "predictions.parquet")


def distilled_methods(config):
    """The methods whose image side texts teach, on one dataset at least."""
    return [name for name in config["methods"] if _is_distilled(config, name)]


def distilled_runs(config, w):
    found = [
        (_trained(config, run), entries.of_run(config, run)) for run in studies.runs(config, w)
    ]
    return [run for run, method in found if recipes.distilled(method)]


def distilled_files(config, w):
    return of_runs(distilled_runs(config, w), "representations.parquet")


def pictured_runs(config, w):
    """One run of each distilled method in each cell, and whether its towers were adapted."""
    found = {}
    for run in distilled_runs(config, w):
        lora = entries.of_run(config, run).get("lora") is not None
        cell = run["dataset"], run["column"], run["method"]
        found.setdefault(cell, run | {"lora": lora})
    return list(found.values())


def pictured_files(config, w):
    return of_runs(pictured_runs(config, w), "representations.parquet")


def represented(config, w):
    """What tells each sample's text, and the texts as the retriever embeds them."""
    method, kept = runs.method(config, w), ("labels", "reports", "pairs")
    corpus = entries.corpus_of(config, w.dataset, method)
    read = runs.artifacts(config, w).items()
    found = {name: path for name, path in read if name in kept}
    return found | {"text_embeddings": TEXTS.format(encoder=method["retriever"], corpus=corpus)}


def costed_runs(config, w):
    """One run of each method and column, on the study's first dataset: what decides its cost."""
    dataset, found = config["studies"][w.study]["datasets"][0], {}
    methods = _costed_methods(config, w)
    for run in studies.runs(config, w):
        if run["dataset"] == dataset and run["method"] in methods:
            found.setdefault((run["column"], run["method"]), _trained(config, run))
    return [run | _costed(config, SimpleNamespace(**run)) for run in found.values()]


def costed_files(config, w):
    return [path for run in costed_runs(config, w) for path in run["files"].values()]


def costed_encoders(config, w):
    return _of_costed(config, w, exports.encoder_files)


def costed_modules(config, w):
    return _of_costed(config, w, exports.modules)


def _trained(config, run):
    """A run that has a model: of joined folds, the first."""
    return run | {"dataset": entries.trained(config, run["dataset"])}


def _is_distilled(config, name):
    found = (entries.method(config, name, dataset) for dataset in config["datasets"])
    return any(map(recipes.distilled, found))


def _costed_methods(config, w):
    """The methods of which one knows how they predict."""
    named, methods = config["studies"][w.study]["methods"], config["methods"]
    return [method for method in named if recipes.predicts(methods[method])]


def _costed(config, w):
    """What rebuilds a run's model, and its prompts."""
    weights = f"{RUN}/weights.safetensors".format(**vars(w))
    return {
        "files": {"weights": weights, **exports.artifacts(config, w)},
        "spec": exports.spec(config, w),
        "templates": encoders.templates(config, w),
    }


def _of_costed(config, w, function):
    found = [function(config, SimpleNamespace(**run)) for run in costed_runs(config, w)]
    return list(dict.fromkeys(one for each in found for one in each))
