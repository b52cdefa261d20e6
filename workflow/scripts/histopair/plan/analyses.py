"""Which analyses a study's methods allow, and what each reads."""

from types import SimpleNamespace

from histopair.plan import encoders, entries, exports, recipes, runs, studies
from histopair.plan.places import EMBEDDINGS, LABELS, RUN, TEXTS, of_runs, there


def named(config, w):
    """The analyses of a study, in the order of its page."""
    return of_study(config, w.study)


def of_study(config, study):
    w = SimpleNamespace(study=study)
    methods = (entries.of_run(config, model) for model in studies.models(config, w))
    distilled = any(map(recipes.distilled, methods))
    possible = {
        "complementarity": "complementarity" in config["studies"][study],
        "distillation": distilled,
        "tsne": distilled,
        "cost": _costed_methods(config, w),
        "repetitions": repeated(config, w),
        "active_learning": "active_learning" in config["studies"][study],
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
    return [
        name
        for name in config["methods"]
        if any(recipes.distilled(entries.method(config, name, d)) for d in config["datasets"])
    ]


def distilled_runs(config, w):
    return [
        _trained(config, run)
        for run in studies.runs(config, w)
        if recipes.distilled(entries.of_run(config, run))
    ]


def distilled_files(config, w):
    return of_runs(distilled_runs(config, w), "representations.parquet")


def pictured_runs(config, w):
    """One run of each distilled method in each cell, and whether its towers were adapted."""
    runs_of_cells = {}
    for run in distilled_runs(config, w):
        lora = entries.of_run(config, run).get("lora") is not None
        cell = run["dataset"], run["column"], run["method"]
        runs_of_cells.setdefault(cell, run | {"lora": lora})
    return list(runs_of_cells.values())


def pictured_files(config, w):
    return of_runs(pictured_runs(config, w), "representations.parquet")


def represented(config, w):
    """The files that name each sample's text, and the texts as the retriever embeds them."""
    method, wanted = runs.method(config, w), ("labels", "reports", "pairs")
    corpus = entries.corpus_of(config, w.dataset, method)
    paths = {name: path for name, path in runs.artifacts(config, w).items() if name in wanted}
    return paths | {"text_embeddings": TEXTS.format(encoder=method["retriever"], corpus=corpus)}


def costed_runs(config, w):
    """One run of each method and column, on the study's first dataset, with what it is made of."""
    dataset, methods = config["studies"][w.study]["datasets"][0], _costed_methods(config, w)
    chosen = {}
    for run in studies.runs(config, w):
        if run["dataset"] == dataset and run["method"] in methods:
            chosen.setdefault((run["column"], run["method"]), _trained(config, run))
    return [run | _costed(config, SimpleNamespace(**run)) for run in chosen.values()]


def costed_files(config, w):
    return [path for run in costed_runs(config, w) for path in run["files"].values()]


def costed_encoders(config, w):
    return _of_costed(config, w, exports.encoder_files)


def costed_modules(config, w):
    return _of_costed(config, w, exports.modules)


def repeated(config, w):
    """How often a study is repeated."""
    return config["studies"][w.study]["repetitions"]


def repeated_runs(config, w):
    """The runs of a study, each with what it is made of."""
    return [
        run | {"spec": runs.spec(config, each), "artifacts": runs.artifacts(config, each)}
        for run in studies.judged(config, w)
        for each in [SimpleNamespace(**run)]
    ]


def repeated_files(config, w):
    paths = [path for run in repeated_runs(config, w) for path in run["artifacts"].values()]
    return list(dict.fromkeys(paths))


def repeated_encoders(config, w):
    return _of_runs(config, studies.runs(config, w), runs.encoder_files)


def repeated_modules(config, w):
    return _of_runs(config, studies.runs(config, w), runs.modules)


def asked(config, w):
    """How a simulated reader is asked for labels."""
    return config["studies"][w.study]["active_learning"]


def asked_seeds(config, w):
    return config["studies"][w.study]["seeds"]


def worlds(config, w):
    """Each dataset of a study with each encoder: names, and paths of what a reader is asked about.

    Raises InputError if a truth is not there.
    """
    study = config["studies"][w.study]
    return [
        {
            "dataset": dataset,
            "encoder": encoder,
            "labels": LABELS.format(dataset=dataset),
            "truth": there(entries.dataset(config, dataset)["truth"]),
            "embeddings": EMBEDDINGS.format(
                encoder=encoder, dataset=entries.base(config, dataset), kind="images"
            ),
        }
        for dataset in study["datasets"]
        for encoder in study["encoders"]
    ]


def world_files(config, w):
    parts = ("labels", "truth", "embeddings")
    return list(dict.fromkeys(world[part] for world in worlds(config, w) for part in parts))


def _trained(config, run):
    """A run that has a model: the first fold's, where folds are joined."""
    return run | {"dataset": entries.trained(config, run["dataset"])}


def _costed_methods(config, w):
    """The methods whose recipe says how they predict."""
    names, methods = config["studies"][w.study]["methods"], config["methods"]
    return [name for name in names if recipes.predicts(methods[name])]


def _costed(config, w):
    """What rebuilds a run's model, and its prompts."""
    weights = f"{RUN}/weights.safetensors".format(**vars(w))
    return {
        "files": {"weights": weights, **exports.artifacts(config, w)},
        "spec": exports.spec(config, w),
        "templates": encoders.templates(config, w),
    }


def _of_costed(config, w, function):
    """The same for the costed runs."""
    return _of_runs(config, costed_runs(config, w), function)


def _of_runs(config, some_runs, function):
    """What a function of a run gives for some runs, each item once."""
    lists = [function(config, SimpleNamespace(**run)) for run in some_runs]
    return list(dict.fromkeys(item for items in lists for item in items))
