"""Chunks hold every word of a report in order, and none is longer than its retriever reads."""

import sys
import types
from pathlib import Path

import numpy as np
import open_clip
import pandas as pd
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from histopair import encoders
from histopair.corpora import chunk_tables, chunks, reports
from histopair.errors import InputError
from histopair.files import tables
from histopair.retrieval import paired_texts

REAL = Path(__file__).parents[2] / "shared" / "real"
TEXTS = st.text("ab .,A1;(é中。، \n", max_size=300) | st.text(max_size=120)


def words(text: str) -> int:
    return len(text.split())


def letters(text: str) -> int:
    return len("".join(text.split()))


# where a text is cut


@given(st.text("ab .A1;", max_size=300), st.integers(1, 20))
def test_chunks_hold_every_word_once_in_order_and_are_bounded(text, most):
    cut = chunks.cut(text, most, words)
    assert " ".join(cut).split() == text.split()
    assert all(1 <= words(chunk) <= most for chunk in cut)


def test_chunks_end_with_sentences_and_keep_items_with_their_number():
    text = "One two three. 1. Four five. 2. Six seven eight."
    assert chunks.cut(text, 6, words) == ["One two three. 1. Four five.", "2. Six seven eight."]


def test_a_long_sentence_is_cut_after_clauses_and_else_between_words():
    text = "One two three, four five (six seven) eight nine ten eleven twelve."
    assert chunks.cut(text, 5, words) == [
        "One two three, four five",
        "(six seven)",
        "eight nine ten eleven twelve.",
    ]
    assert chunks.cut("One two, three four five six seven.", 3, words) == [
        "One two,", "three four five", "six seven.",
    ]  # fmt: skip


def test_chunks_are_of_about_equal_length():
    text = " ".join("A b c d end." for _ in range(11))
    assert [words(chunk) for chunk in chunks.cut(text, 50, words)] == [30, 25]
    assert [words(chunk) for chunk in chunks.cut("word " * 55, 50, words)] == [28, 27]


def test_scripts_without_blanks_are_cut_after_their_own_stops():
    text = "腺癌,中分化。浸润至固有肌层。切缘未见癌。"
    assert chunks.cut(text, 10, letters) == ["腺癌,中分化。", "浸润至固有肌层。", "切缘未见癌。"]
    assert chunks.torn(text, chunks.cut(text, 10, letters)) == []
    assert chunks.cut("浸润至固有肌层", 3, letters) == ["浸润至", "固有", "肌层"]


def test_a_word_is_cut_inside_only_where_it_is_too_long_by_itself():
    text = f"Short {'x' * 9} end"
    cut = chunks.cut(text, 5, letters)
    assert "".join(cut) == text.replace(" ", "") and max(map(len, cut)) <= 5
    assert chunks.torn(text, cut) == ["x" * 9]
    assert chunks.halves("ae\u0301") == ("a", "e\u0301")


def test_dropping_words_leaves_the_rest_as_it_stands_in_any_script():
    draw = np.random.default_rng(0)
    assert len(paired_texts.without_words("腺癌，切缘未见癌", 0.5, draw)) in (3, 4)
    assert len(paired_texts.without_words("a b c d", 0.5, draw).split()) == 2
    assert paired_texts.without_words("a  b\nc", 0.0, draw) == "a  b\nc"


# each kind of tokenizer


def _bert(folder: Path, tokenizer) -> dict:
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return {"library": "transformers", "model": str(folder)}


def _learned(kind: str):
    """A tokenizer of transformers: "bytes" as GPT-2 and CONCH, or "pieces" as SentencePiece."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    known = {"special_tokens": ["<pad>", "</s>", "<unk>", "<s>"], "show_progress": False}
    if kind == "bytes":
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, **known)
    else:
        made = Tokenizer(models.Unigram())
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=60, unk_token="<unk>", **known)
    made.train_from_iterator(["colon adenocarcinoma of the colon, no tumour"] * 3, trainer)
    made.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    names = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "cls_token": "<s>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>", **names)


MAKERS = {
    "open_clip": tiny.clip_entry,
    "word pieces": tiny.bert_entry,
    "bytes": lambda folder: _bert(folder, _learned("bytes")),
    "pieces": lambda folder: _bert(folder, _learned("pieces")),
}
COUNTERS = {}


@pytest.fixture(scope="module", params=MAKERS)
def entry(request, tmp_path_factory):
    """An encoder whose tokenizer is of that kind, with room for 24 or 32 tokens."""
    return MAKERS[request.param](tmp_path_factory.mktemp("encoder")) | {"name": request.param}


def test_tokens_are_counted_uncut_and_by_the_tokenizer_alone(entry):
    count, context = encoders.counter(entry)
    encoder = encoders.load(entry)
    texts = ["", "colon", "no tumour of the colon", "colon " * 100]
    assert encoder.context == context and encoder.count(texts) == count(texts)
    lengths = count(texts)
    assert lengths == sorted(lengths) and lengths[-1] > context > lengths[-2]
    padded = encoder.tokenize(texts)
    for row, length in zip(padded, lengths, strict=True):
        assert (row != encoder.pad_id).sum() == min(length, context)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("bytes", {}),
        ("bytes", {"clean": "canonicalize"}),
        ("pieces", {"clean": "lower", "tokenizer_mode": "clips"}),
    ],
)
def test_tokenizers_of_transformers_within_open_clip_are_counted_as_they_are_called(
    tmp_path, monkeypatch, kind, settings
):
    _learned(kind).save_pretrained(tmp_path)
    tokenizer = open_clip.tokenizer.HFTokenizer(str(tmp_path), context_length=500, **settings)
    monkeypatch.setattr(open_clip, "get_tokenizer", lambda name: tokenizer)
    count, _ = encoders.counter({"name": "clip", "library": "open_clip", "model": "ViT-B-32"})
    for text in ("Colon, no tumour", "A b. (C) &amp; d" * 9):
        tokens = tokenizer([text])[0]
        assert count([text]) == [int((tokens != tokenizer.tokenizer.pad_token_id).sum())]


def test_conch_is_counted_by_the_tokenizer_of_its_package(monkeypatch):
    tokenizer, package = _learned("bytes"), types.ModuleType("conch.open_clip_custom")
    package.get_tokenizer = lambda: tokenizer
    monkeypatch.setitem(sys.modules, "conch", types.ModuleType("conch"))
    monkeypatch.setitem(sys.modules, "conch.open_clip_custom", package)
    count, context = encoders.counter({"name": "conch", "library": "conch", "model": "x"})
    assert context == 127
    assert count(["colon", "colon " * 200]) == [
        len(tokenizer(text)["input_ids"]) for text in ("colon", "colon " * 200)
    ]


def test_an_encoder_without_a_text_tower_is_one_line():
    with pytest.raises(InputError, match="encoder vit: timm gives it no text tower"):
        encoders.counter({"name": "vit", "library": "timm", "model": "vit_tiny_patch16_224"})


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(TEXTS, max_size=4))
def test_chunks_of_any_text_hold_all_of_it_and_are_read_whole(entry, texts):
    count, context = COUNTERS.setdefault(entry["name"], encoders.counter(entry))
    for text, cut in zip(texts, chunk_tables.texts(texts, count, context), strict=True):
        parts = [chunk for chunk, _ in cut]
        assert "".join("".join(parts).split()) == "".join(text.split())
        assert [n for _, n in cut] == [n for part in parts for n in count([part])]
        assert all(n <= context for _, n in cut)


@settings(max_examples=40, deadline=None)
@given(words=st.lists(st.sampled_from(["Colon,", "adenocarcinoma", "G2.", "no", "(pT3)"])))
def test_chunks_hold_all_words_in_order(entry, words):
    count, context = COUNTERS.setdefault(entry["name"], encoders.counter(entry))
    (cut,) = chunk_tables.texts([" ".join(words)], count, context)
    assert " ".join(chunk for chunk, _ in cut).split() == words
    assert all(n <= context for _, n in cut)


# the table of a corpus


def _write(folder, rows: list[tuple], entry: dict, count, context: int):
    columns = ["report_id", "group", "organ", "section", "text"]
    table = pd.DataFrame([(i, i, "colon", section, text) for i, section, text in rows])
    tables.write(folder / "r.parquet", table.set_axis(columns, axis=1), {})
    out = folder / "c.parquet", folder / "a.parquet"
    chunk_tables.write(
        folder / "r.parquet", count, context, entry, "clip", *out, {"rule": "chunk_reports"}
    )
    return tables.read(out[0]), tables.read(out[1]), tables.about(out[0])


def counted(texts: list[str]) -> list[int]:
    """Words, a start and an end; a word of many letters is one token for each four."""
    return [2 + sum(-(-len(word) // 4) for word in text.split()) for text in texts]


ROWS = [("a", "diagnosis", "One two six. Ten all."), ("a", "comment", "See"), ("b", "other", "No")]


def test_chunks_are_numbered_within_each_report_and_know_their_section(tmp_path):
    cut, rows, about = _write(tmp_path, ROWS, {}, counted, 6)
    assert cut[["report_id", "chunk", "section", "text", "n_tokens"]].to_numpy().tolist() == [
        ["a", 0, "diagnosis", "One two six.", 5],
        ["a", 1, "diagnosis", "Ten all.", 4],
        ["a", 2, "comment", "See", 3],
        ["b", 0, "other", "No", 3],
    ]
    assert rows.empty and (about["context"], about["cut"]) == (6, 0)
    assert str(tables.pq.read_schema(tmp_path / "c.parquet").field("chunk").type) == "int32"


def test_fewer_tokens_than_the_context_may_be_asked_for_but_not_more(tmp_path):
    text = [("a", "other", "One two six ten all see it")]
    for asked, length in ((8, 6), (100, 9)):
        cut = _write(tmp_path, text, {"chunk_tokens": asked}, counted, 9)[0]
        assert cut["n_tokens"].max() == length
    with pytest.raises(InputError, match="encoder clip: of 5 tokens its start and end leave"):
        _write(tmp_path, text, {}, counted, 5)


def test_whole_reports_are_one_text_each_and_those_that_are_cut_are_counted(tmp_path):
    rows = [("a", "other", "One two six ten all"), ("b", "other", "No"), ("c", "other", "x " * 9)]
    cut, found, about = _write(tmp_path, rows, {"whole": True}, counted, 6)
    assert cut["text"].tolist() == [text for _, _, text in rows]
    assert cut["chunk"].tolist() == [0, 0, 0] and cut["n_tokens"].tolist() == [7, 3, 11]
    assert found[["step", "action", "subject", "reason", "count"]].to_numpy().tolist() == [
        [
            "chunk",
            "cut",
            "a, c",
            "longer than the 6 tokens that clip reads: the rest is not read",
            2,
        ]
    ]
    assert about["cut"] == 2


def test_a_word_longer_than_the_context_is_cut_inside_and_counted(tmp_path):
    cut, found, about = _write(tmp_path, [("a", "other", f"An {'x' * 40} end")], {}, counted, 6)
    assert "".join(cut["text"]) == f"An {'x' * 40} end" and cut["n_tokens"].max() <= 6
    assert found[["action", "subject", "reason"]].to_numpy().tolist() == [
        ["cut", "x" * 40, "a word longer than a chunk: cut inside"]
    ]
    assert about["cut"] == 0


def test_a_text_longer_than_the_sum_of_its_words_is_cut_again():
    """As of a tokenizer that reads more in a text than in its words."""

    def dear(texts):
        return [2 + max(0, 3 * len(text.split()) - 2) for text in texts]

    (cut,) = chunk_tables.texts(["one two three four five six seven"], dear, 9)
    assert " ".join(chunk for chunk, _ in cut).split()[-1] == "seven"
    assert all(n <= 9 for _, n in cut)


@pytest.mark.skipif(not (REAL / "reports").is_dir(), reason="the real reports are not here")
def test_no_chunk_of_real_reports_is_longer_than_a_clip_reads(tmp_path):
    table = {"table": str(REAL / "reports" / "tcga_colon_clipit.csv"), "organ_is": "colon"}
    reports.clean(table, "real", tmp_path / "r.parquet", tmp_path / "a.parquet", {})
    count, context = encoders.counter({"name": "clip", "library": "open_clip", "model": "ViT-B-32"})
    out = tmp_path / "c.parquet"
    chunk_tables.write(
        tmp_path / "r.parquet", count, context, {}, "clip", out, tmp_path / "ca.parquet", {}
    )
    cut = tables.read(out)
    tokens = open_clip.get_tokenizer("ViT-B-32")(list(cut["text"]), context_length=300)
    lengths = (tokens == 49407).int().argmax(1) + 1
    assert lengths.tolist() == cut["n_tokens"].tolist()
    assert lengths.max() == context == 77
    sections = tables.read(tmp_path / "r.parquet").groupby("report_id")["text"].agg(" ".join)
    chunked = cut.groupby("report_id")["text"].agg(" ".join)
    assert chunked.str.split().equals(sections.str.split())
