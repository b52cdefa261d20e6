"""Whether a synthetic world can tell anything of text, before methods are compared in it.

Text can help only if the retriever sees what decides the class, and finds reports that say it. If
not, no method can gain from it, and that none does says nothing about methods.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import RidgeCV
from sklearn.metrics import balanced_accuracy_score, log_loss, r2_score
from sklearn.preprocessing import StandardScaler

from histopair.errors import InputError
from histopair.evaluation import solver
from histopair.files import tables
from histopair.phantom import truth as known

LEAST_R2 = 0.3  # of the variance of an attribute among test tiles
LEAST_AGREEMENT = 0.25  # of the way from chance to always
COLUMNS = ["retriever", "corpus", "passed", "reasons", "probe_backbone", "probe_retriever", "r2"]
COLUMNS += ["label_accuracy", "report_agreement", "chance"]
STRENGTHS = 10.0 ** np.arange(-4, 3)  # scikit-learn's C
PENALTIES = 10.0 ** np.arange(-2, 5)


def write(
    labels: str | Path,
    truth: str | Path,
    report_truth: str | Path,
    embeddings: dict[str, str | Path],
    pairs: str | Path,
    output: str | Path,
    about: dict,
) -> None:
    """Write what `judge` finds as JSON, and which truths it read.

    labels, pairs: of the dataset. embeddings: of its images, by "backbone" and "retriever". truth:
    path, attributes and label of its tiles; its metadata name the attributes that decide the label,
    `decides`. report_truth: report_id and label. Raises InputError for a truth that does not know
    them.
    """
    samples, decides = tables.read(labels), tables.about(truth).get("decides")
    if not decides:
        problem = "it does not say which attributes decide the label"
        raise InputError(truth, problem, "Leave `gate` out of the study: only a phantom has one")
    tiles = known.of(samples["path"], "path", truth)
    vectors = {
        name: tables.matrix(path)[_places(samples, tables.read(path, ["image_id"]), path)].astype(
            float
        )
        for name, path in embeddings.items()
    }
    first = tables.read(pairs, ["image_id", "rank", "report_id"])
    first = first[first["rank"] == 1]
    retrieved = first["report_id"].iloc[_places(samples, first, pairs)]
    of_reports = known.of(retrieved, "report_id", report_truth)
    if "label" not in of_reports:
        problem, remedy = "it does not say the class of a report", "Choose another corpus"
        raise InputError(report_truth, problem, f"{remedy}, or leave `gate` out of the study")
    result = judge(samples, tiles, of_reports["label"].to_numpy(), vectors, decides)
    files = {"truth": str(truth), "report_truth": str(report_truth)}
    tables.write_json(output, result | files | {"about": about})


def rows(cells: dict, study: dict) -> list[dict]:
    """A row in COLUMNS for each of the study's `gates`, the JSON files of `write`."""
    return [_row(tables.read_json(path)) for path in study.get("gates", ())]


def failed(path: str | Path | None) -> str:
    """The retriever that fails the gate of a file of `write`; "" if it passes, or for no file."""
    judged = tables.read_json(path) if path else {"reasons": []}
    return judged["about"]["wildcards"]["retriever"] if judged["reasons"] else ""


def _row(judged: dict) -> dict:
    names = ("retriever", "dataset", "encoder", "corpus")
    return {
        **{name: judged["about"]["wildcards"][name] for name in names},
        "passed": not judged["reasons"],
        "reasons": "; ".join(judged["reasons"]),
        **{f"probe_{name}": value for name, value in judged["probes"].items()},
        "r2": "; ".join(f"{name} {value:.2f}" for name, value in judged["r2"].items()),
        **{name: judged[name] for name in ("label_accuracy", "report_agreement", "chance")},
    }


def judge(
    samples: pd.DataFrame, tiles: pd.DataFrame, reports: np.ndarray, vectors: dict, decides: list
) -> dict:
    """Converged probes, R2 of attributes, agreement of labels and reports with the truth, reasons.

    samples: split and labels of n tiles; tiles: n rows of attributes and `label`; reports (n,): the
    true class of the report retrieved for each; vectors: (n, d) of "backbone" and "retriever";
    decides: names of attributes. The gate is passed where `reasons` is empty.
    """
    splits = {name: samples["split"].to_numpy() == name for name in ("train", "val", "test")}
    given, right = samples["labels"].str[0].to_numpy(), tiles["label"].to_numpy()
    probes = {name: _probe(x, given, splits) for name, x in vectors.items()}
    r2 = {name: _r2(vectors["retriever"], tiles[name], splits) for name in decides}
    train = splits["train"]
    chance = float(pd.Series(right[train]).value_counts(normalize=True).pow(2).sum())
    agreement = float((reports == right)[train].mean())
    return {
        "probes": probes,
        "r2": r2,
        "label_accuracy": float((given == right)[train].mean()),
        "report_agreement": agreement,
        "chance": chance,
        "reasons": _reasons(probes, r2, (agreement - chance) / (1 - chance)),
    }


def _probe(vectors: np.ndarray, given: np.ndarray, splits: dict) -> float:
    """Balanced accuracy on test of a logistic regression; validation chooses its penalty.

    A fit that does not reach its optimum has no say.
    """
    scaler = StandardScaler().fit(vectors[splits["train"]])
    train, val, test = (scaler.transform(vectors[rows]) for rows in splits.values())
    model, least, accuracy = solver.model(), np.inf, float("nan")
    for strength in STRENGTHS:
        if not solver.fit(model.set_params(C=strength), train, given[splits["train"]]):
            continue
        shares = model.predict_proba(val)
        loss = log_loss(given[splits["val"]], shares, labels=model.classes_)
        if loss < least:
            least = loss
            accuracy = balanced_accuracy_score(given[splits["test"]], model.predict(test))
    return float(accuracy)


def _r2(vectors: np.ndarray, attribute: pd.Series, splits: dict) -> float:
    """Explained share of an attribute's variance on test by a ridge regression.

    Of a category, of all its indicators together.
    """
    numeric = pd.api.types.is_numeric_dtype(attribute)
    target = attribute.to_frame() if numeric else pd.get_dummies(attribute)
    target, (train, test) = target.to_numpy(float), (splits["train"], splits["test"])
    scaler = StandardScaler().fit(vectors[train])
    model = RidgeCV(PENALTIES).fit(scaler.transform(vectors[train]), target[train])
    predicted = model.predict(scaler.transform(vectors[test])).reshape(target[test].shape)
    return float(r2_score(target[test], predicted, multioutput="variance_weighted"))


def _reasons(probes: dict, r2: dict, above_chance: float) -> list[str]:
    """Why the world tells nothing of text, in words."""
    reasons = [
        f"the retriever hardly sees {name.replace('_', ' ')}: R² {value:.2f}, below {LEAST_R2}"
        for name, value in r2.items()
        if value < LEAST_R2
    ]
    if above_chance < LEAST_AGREEMENT:
        reasons.append(
            f"retrieved reports go {above_chance:.0%} of the way from chance to the tile's class, "
            f"less than {LEAST_AGREEMENT:.0%}"
        )
    if not probes["retriever"] >= probes["backbone"]:
        reasons.append("a probe of the retriever is below that of the backbone")
    return reasons


def _places(samples: pd.DataFrame, table: pd.DataFrame, path: str | Path) -> np.ndarray:
    """The row of each sample's image in a table that has each image once."""
    missing, remedy = "it has no image {}", "Delete it and rerun"
    return tables.positions(samples["image_id"], table["image_id"], path, missing, remedy)
