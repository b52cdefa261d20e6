"""What the page shows of the pairing: quality against chance, and pairs to judge by eye."""

import numpy as np
import pandas as pd

from histopair.files import tables
from histopair.pages import plots
from histopair.pages.corpora import clip
from histopair.pages.thumbnails import thumbnail

CLASSES = 4  # shown of each pairing
TILE = 176
CHARACTERS = 420


def context(pairs: list[dict], results: str) -> dict:
    """All pairings: encoder, dataset, corpus and correction of each; "oracle" pairs by the truth.

    Table, histogram and curves show a corrected pairing beside the plain one; examples and
    agreement show plain pairings only.
    """
    quality = [
        pair | {"by": by(pair), "quality": _quality(pair, results)}
        for pair in sorted(pairs, key=lambda pair: _group(pair, pairs))
    ]
    retrieved = [pair for pair in quality if pair["encoder"] != "oracle"]
    plain = [pair for pair in retrieved if not pair["correction"]]
    return {
        "pairs": quality,
        "corrected": any(pair["correction"] for pair in pairs),
        "histogram": plots.similarities(retrieved) if retrieved else None,
        "hubness": plots.hubness(quality) if quality else None,
        "agreement": [
            {"title": title(pair), "plot": plots.agreement(_facts(pair["quality"]), by(pair))}
            for pair in quality
            if _facts(pair["quality"]) and not pair["correction"]
        ],
        "examples": [{"title": title(pair), "rows": examples(pair, results)} for pair in plain],
    }


def title(pair: dict) -> str:
    """A pairing in words."""
    return f"{pair['dataset']} with {pair['corpus']}, {by(pair)}"


def by(pair: dict) -> str:
    """What paired them, and how hubs were corrected for."""
    if pair["encoder"] == "oracle":
        return "by true attributes"
    return f"by {pair['encoder']}{pair['correction'].replace('.', ', ')}"


def examples(pair: dict, results: str) -> list[dict]:
    """For some classes, the images of highest, median and lowest similarity, with their texts."""
    path = "{results}/pairs/{encoder}/{dataset}.{corpus}{correction}.parquet"
    ranked = tables.read(path.format(results=results, **pair))
    ranked = ranked[ranked["rank"] == 1]
    source = f"{results}/labels/{pair['dataset']}.parquet"
    about = tables.about(source)
    images = tables.read(source, ["image_id", "path", "labels"]).drop_duplicates("image_id")
    joined = images.merge(ranked, on="image_id").sort_values(["similarity", "image_id"])
    texts = tables.read(f"{results}/chunks/{pair['encoder']}/{pair['corpus']}.parquet")
    texts = texts.set_index(["report_id", "chunk"])
    rows = []
    for label in chosen(about["classes"]):
        of_class = joined[joined["labels"].map(lambda names, label=label: label in names)]
        if len(of_class):
            places = {"highest": len(of_class) - 1, "median": len(of_class) // 2, "lowest": 0}
            shown = [
                {"kind": kind} | _example(of_class.iloc[place], about, texts)
                for kind, place in places.items()
            ]
            rows.append({"label": about["class_names"].get(label, label), "examples": shown})
    return rows


def chosen(classes: list[str]) -> list[str]:
    """Up to CLASSES classes, evenly spaced over the list."""
    places = np.linspace(0, len(classes) - 1, min(CLASSES, len(classes))).round().astype(int)
    return [classes[place] for place in places]


def _example(row: pd.Series, about: dict, texts: pd.DataFrame) -> dict:
    names = about["class_names"]
    text = texts.loc[(row["report_id"], row["chunk"])]
    return {
        "source": thumbnail(about["root"], row["path"], TILE),
        "labels": [names.get(label, label) for label in row["labels"]],
        "report": row["report_id"],
        "section": text["section"] or "",
        "text": clip(text["text"], CHARACTERS),
        "similarity": float(row["similarity"]),
    }


def _group(pair: dict, pairs: list[dict]) -> int:
    """The place of the first pairing of the same images, reports and encoder."""
    keys = ("dataset", "encoder", "corpus")
    return next(i for i, other in enumerate(pairs) if all(other[k] == pair[k] for k in keys))


def _quality(pair: dict, results: str) -> dict:
    path = "{results}/pairs/{encoder}/{dataset}.{corpus}{correction}.quality.json"
    return tables.read_json(path.format(results=results, **pair))


def _facts(quality: dict) -> dict[str, dict]:
    """Observed and chance agreement by name: the class first, then each attribute."""
    of_class = {
        "class, whole report": quality["class_agreement"],
        "class, retrieved text": quality["text_agreement"],
    }
    facts = {name: agreed for name, agreed in of_class.items() if agreed}
    return facts | (quality["attribute_agreement"] or {})
