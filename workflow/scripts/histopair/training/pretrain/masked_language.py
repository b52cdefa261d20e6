"""A small BERT of transformers trained on captions by masked words (Devlin 2019)."""

from pathlib import Path

import torch
from tokenizers import BertWordPieceTokenizer
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

from histopair.training.pretrain import draws

REQUIRES = ("vocabulary", "model")

MASKED = 0.15
IGNORED = -100
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def build(run):
    texts = run.captions()
    tokenizer = _tokenizer([texts[row] for row in run.rows("train")], run.method)
    model = BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), **run.method["model"]))
    model.tokenizer = tokenizer
    length = run.method["model"]["max_position_embeddings"]
    encoded = tokenizer(
        texts, padding=True, truncation=True, max_length=length, return_tensors="pt"
    )
    tokens, mask = encoded["input_ids"], encoded["attention_mask"]

    def fetch(rows):
        hidden, targets = _hide_words(tokens[rows], tokenizer, draws(run, model, rows))
        batch = {"tokens": hidden, "mask": mask[rows], "targets": targets}
        return {name: value.to(run.device) for name, value in batch.items()}

    def loss(model, batch):
        logits = model(input_ids=batch["tokens"], attention_mask=batch["mask"]).logits
        value = cross_entropy(
            logits.flatten(0, 1), batch["targets"].flatten(), ignore_index=IGNORED
        )
        return {"loss": value, "task": value}

    yield run.stage("masked-language", model, fetch, loss)


def save(stage, run, folder: Path) -> None:
    """A transformers folder: BERT without its language head, and its tokenizer."""
    stage.model.bert.save_pretrained(folder)
    stage.model.tokenizer.save_pretrained(folder)


def _tokenizer(texts: list[str], settings: dict) -> BertTokenizerFast:
    """Word pieces of these texts; the same texts give the same pieces with the same numbers.

    The library's trainer numbers pieces of one character in the order of a random hash, and its
    later choices and the weights follow those numbers. If it gets them first, it keeps our order.
    """
    learner = BertWordPieceTokenizer(lowercase=True)
    plain = {learner.normalize(text) for text in texts}
    letters = sorted({letter for text in plain for letter in text if not letter.isspace()})
    learner.train_from_iterator(
        texts,
        vocab_size=settings["vocabulary"],
        special_tokens=[*SPECIAL, *(f"##{letter}" for letter in letters)],
        show_progress=False,
    )
    pieces = BertWordPieceTokenizer(vocab=learner.get_vocab(), lowercase=True)
    return BertTokenizerFast(tokenizer_object=pieces._tokenizer, do_lower_case=True)


def _hide_words(
    tokens: torch.Tensor, tokenizer, draw: torch.Generator | None
) -> tuple[torch.Tensor, torch.Tensor]:
    special = torch.isin(tokens, torch.tensor(tokenizer.all_special_ids))
    hidden = (torch.rand(tokens.shape, generator=draw) < MASKED) & ~special
    targets = torch.where(hidden, tokens, IGNORED)
    return torch.where(hidden, tokenizer.mask_token_id, tokens), targets
