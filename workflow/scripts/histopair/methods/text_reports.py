"""A classifier of the paired reports alone: what text says of the class (CLIP-IT, Table 6).

It reads the report at inference, too; the image only serves to retrieve it.
"""

from histopair.methods.clip_it.text_stage import classifier, stage

PARAMETERS = {
    "pairing": "retrieved",
    "retriever": "",
    "corpus": "",
    "rank": 1,
    "wrong_pairs": 0.0,
    "word_dropout": 0.0,
    "text_lora": {"rank": 16, "alpha": 8.0, "targets": "all", "blocks": "all"},
}


def needs(method):
    """The texts, if adapters or word dropout need them; else the frozen tower's embeddings."""
    cached = method["text_lora"] is None and not method["word_dropout"]
    return ("reports", "pairs", "text_embeddings" if cached else "retriever")


def mistakes(method):
    """Parameters that do not fit, and why."""
    return {"word_dropout": "it is a share, 1 at most"} if method["word_dropout"] > 1 else {}


def build(run):
    model, texts = classifier(run, frozen=run.method["text_lora"] is None)
    yield stage(run, "main", model, texts)
