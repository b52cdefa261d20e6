"""The model card: what a model is, what it was made from, how good it is and what it is for."""

import json

import numpy as np

import histopair
from histopair.datasets import licences
from histopair.evaluation import bootstrap, calibration, cells, metrics, tasks, two_way
from histopair.export.findings import USE

TASKS = {"single": "one of", "multi": "any of"}
PHANTOM = (
    "**Synthetic.** Trained and tested on histopair's phantom, drawn images and made-up texts: "
    "this model knows nothing about tissue."
)
LOW, HIGH = calibration.TEMPERATURES
BOUND = (
    f"\n**This temperature is at the bound of its fit ({LOW:g} to {HIGH:g}), not at an optimum: do "
    "not trust the probabilities.** This happens if the model orders the validation split no "
    "better than chance, or if it orders all of a small validation split correctly.\n"
)


def write(
    run,
    config: dict,
    predictions: str,
    scored: dict,
    described: dict,
    difference: float,
    about: dict,
) -> str:
    """The text of README.md.

    `scored` is what `score.of_predictions` says of the run's `predictions`, and `described` is that
    of `write.export`; `difference` is the largest between the probabilities of the folder and those
    of the run.
    """
    names, sources = described["run"], described["sources"]
    strict = licences.strictest([source["licence"] for source in sources])
    parts = [
        _front(strict),
        f"# {names['method']} on {names['dataset']}\n",
        PHANTOM + "\n" if described["synthetic"] else "",
        f"{USE} It is not a medical device; nobody has tested it on patients.\n",
        _what(config, names),
        _use(config),
        "## Results\n\n" + _results(predictions, scored, run.artifacts["labels"]),
        "## Probabilities\n\n" + _calibration(config),
        "## Made from\n\n" + _sources(sources),
        _licence(sources, strict),
        _evidence(config),
        "## Method\n\n" + _method(run, names, about),
        "## Checked\n\n" + _checked(config, difference),
    ]
    return "\n".join(part for part in parts if part)


def _front(licence: str) -> str:
    lines = ["---", "license: other", f"license_name: {json.dumps(licence)}"]
    return "\n".join([*lines, "library_name: histopair", "tags: [histopathology]", "---", ""])


def _what(config: dict, names: dict) -> str:
    reads = " and a note" if "text" in config["reads"] else ""
    reads = f"an image{reads}" if "image" in config["reads"] else "a note"
    count = len(config["classes"])
    towers = ", ".join(dict.fromkeys(entry["name"] for entry in config["encoders"].values()))
    return (
        f"It reads {reads} and gives the probability of {TASKS[config['task']]} {count} findings "
        f"(labels.json). Encoder: {towers}; seed {names['seed']}; histopair "
        f"{histopair.__version__}.\n"
    )


def _use(config: dict) -> str:
    note = ' --note "..."' if "text" in config["reads"] else ""
    image = " --image tile.png" if "image" in config["reads"] else ""
    entries = config["encoders"].values()
    libraries = sorted({entry["library"] for entry in entries if "library" in entry})
    onnx = "model.onnx needs onnxruntime alone; " if config["reads"] == ["image"] else ""
    return (
        f"## Use\n\n    histopair predict THIS_FOLDER{image}{note}\n\n"
        f"{onnx}model.safetensors needs {', '.join(['torch', *libraries])}. config.json says how "
        "images are prepared.\n"
    )


def _results(predictions: str, scored: dict, labels: str) -> str:
    """Every metric of the test split with its bootstrap interval, computed as in a study."""
    split = cells.test_split(predictions)
    groups = cells.groups_of(labels, split["ids"])
    draws, task, count = bootstrap.resamples(groups), split["task"], int(groups.max()) + 1
    replicates = tasks.of(task).replicate(split["truth"], split["scores"], groups, draws)
    values, titles = scored["splits"]["test"], metrics.titles()
    after = None
    if scored["calibration"]:
        after = scored["calibration"]["splits"]["test"]["after"]["ece"]
        titles["ece"] += ", before calibration"
    rows = ["| metric | test | 95% interval |", "|---|---|---|"]
    for name in metrics.names(task):
        value = np.array([values[name]], float)
        sure = two_way.of_mean(value, replicates[name], count)
        between = "–" if sure["low"] is None else f"{sure['low']:.3f} to {sure['high']:.3f}"
        value = "–" if values[name] is None else f"{values[name]:.3f}"
        rows.append(f"| {titles[name]} | {value} | {between} |")
    if after is not None:
        rows.append(f"| {metrics.METRICS['ece'].title}, calibrated as exported | {after:.3f} | – |")
    size = f"{len(split['ids'])} test samples; intervals are for other groups"
    size += f" ({cells.unit_of(labels, split['ids'])}: {count})"
    return "\n".join([*rows, "", f"{size}, not for other trainings: this is one run.", ""])


def _calibration(config: dict) -> str:
    if not config["calibrated"]:
        return "Not calibrated: logits are taken as they are (temperature 1).\n"
    text = f"Logits are divided by {config['temperature']:.3f}, fitted on the validation split.\n"
    return text + (BOUND if calibration.at_bound(config["temperature"]) else "")


def _sources(sources: list[dict]) -> str:
    rows = ["| role | name | licence | what it is |", "|---|---|---|---|"]
    keys = ("role", "name", "licence", "description")
    rows += ["| " + " | ".join(_cell(source[key]) for key in keys) + " |" for source in sources]
    return "\n".join([*rows, ""])


def _licence(sources: list[dict], strict: str) -> str:
    names = [source["name"] for source in sources if source["licence"] == strict]
    text = (
        f"Strictest terms: **{_cell(strict)}** ({', '.join(dict.fromkeys(names))}). Terms of "
        "encoders and data can extend to models trained on them: CONCH's CC-BY-NC-ND names models "
        "trained on its outputs. Unless you know better, this model is under all licences above.\n"
    )
    unknown = [source for source in sources if not licences.known(source["licence"])]
    if unknown:
        named = [f"{_cell(source['licence'])} ({source['name']})" for source in unknown]
        text += (
            f"\n**Terms not known to histopair: {', '.join(dict.fromkeys(named))}.** They count as "
            "the strictest of all: find and read them before you pass this model on.\n"
        )
    return text


def _evidence(config: dict) -> str:
    """What training data travels with the model, for `evidence: true`."""
    counts = config.get("evidence")
    if counts is None:
        return ""
    kinds = {
        "images": "training images (paths, labels, features)",
        "reports": "reports (ids, whole texts)",
    }
    parts = [f"{count} {kinds[kind]}" for kind, count in counts.items()]
    return (
        f"## Evidence inside\n\n**This folder carries {' and '.join(parts) or 'no evidence'}.** "
        "They may be personal data, and are under the licences of their sources: check both before "
        "you pass the folder on. Without evidence.json and evidence.safetensors the model predicts "
        "as before.\n"
    )


def _method(run, names: dict, about: dict) -> str:
    content = json.dumps(run.method, indent=1, sort_keys=True, ensure_ascii=False)
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return f"`{names['method']}`:\n\n```json\n{content}\n```\n\nExported with {versions}.\n"


def _checked(config: dict, difference: float) -> str:
    forms = "model.onnx and model.safetensors" if config["reads"] == ["image"] else "The folder"
    return (
        f"On test samples, {forms} gave the trained model's logits to 1e-4 and the run's own "
        f"probabilities to {max(difference, 1e-4):.4f}.\n"
    )


def _cell(text: str) -> str:
    """Text from the config in a table of Markdown: one line, no markup."""
    line = " ".join(text.split())
    return "".join(f"\\{mark}" if mark in r"\|<>[]*_`" else mark for mark in line)
