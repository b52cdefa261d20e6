"""A classifier of the paired reports alone: what text says of the class (CLIP-IT, Table 6).

It reads its report at inference too; the image served only to retrieve it.
"""

from histopair.training import text_stage

NEEDS = ("pairs", "reports", "text_embeddings")
PARAMETERS = {
    "pairing": "retrieved",
    "retriever": "",
    "corpus": "",
    "rank": 1,
    "word_dropout": 0.0,
    "text_lora": {"rank": 16, "alpha": 8.0, "targets": "all"},
}


def build(run):
    model, texts = text_stage.classifier(run, frozen=run.method["text_lora"] is None)
    yield text_stage.stage(run, "main", model, texts)
