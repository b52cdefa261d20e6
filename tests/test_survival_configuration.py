"""Mistakes in `cohorts` and `survival` are one line that names the key and what is allowed."""

import pytest
import yaml

from histopair.errors import InputError
from histopair.plan import load as plan_load


def load(cohort=None, study=None, method=None):
    config = yaml.safe_load(
        """
        datasets: {tiles: {reader: table, root: tiles}}
        corpora: {reports: {table: reports.csv}}
        encoders: {clip: {library: open_clip, model: ViT-B-32, pretrained: openai}}
        methods: {unimodal: {recipe: unimodal}}
        studies: {main: {datasets: [tiles], encoders: [clip], methods: [unimodal]}}
        cohorts: {c: {clinical: c.csv, features: uni, retriever: clip, corpus: reports}}
        survival: {s: {cohort: c, methods: {unimodal: {}, clip-it: {pairing: retrieved}}}}
        """
    )
    config["cohorts"]["c"] |= cohort or {}
    config["survival"]["s"] |= study or {}
    config["survival"]["s"]["methods"]["clip-it"] |= method or {}
    return plan_load.load(config)


def test_defaults_are_filled_in():
    config = load()
    assert config["cohorts"]["c"]["retrieval_features"] == "uni"
    assert config["survival"]["s"]["methods"]["unimodal"]["pairing"] == "none"
    assert config["survival"]["s"]["seeds"] == [0, 1, 2]


CLAIM = {"claim": "x", "better": "clip-it", "worse": "nothing"}
MISTAKES = {
    "cohort": ({"study": {"cohort": "d"}}, r"survival.s.cohort: 'd' is not allowed.*\['c'\]"),
    "corpus": ({"cohort": {"corpus": "x"}}, r"cohorts.c.corpus: 'x'.*\['reports'\]"),
    "retriever": ({"cohort": {"retriever": "x"}}, r"cohorts.c.retriever: 'x'.*\['clip'\]"),
    "reference": ({"study": {"reference": "x"}}, r"survival.s.reference: 'x'"),
    "claim": ({"study": {"claims": [CLAIM]}}, r"survival.s.claims.worse: 'nothing'"),
    "pairing": ({"method": {"pairing": "best"}}, r"clip-it.pairing: 'best' is not allowed"),
    "oracle": ({"method": {"pairing": "oracle"}}, r"clip-it: it pairs by truth, and cohort 'c'"),
    "rank": ({"method": {"rank": 6}}, r"clip-it.rank: 6 .* at most retrieval.k = 5"),
    "key": ({"method": {"lambda": 1}}, r"unknown key 'lambda'.*distillation_weight"),
    "folds": ({"cohort": {"folds": 1}}, r"cohorts.c.folds"),
}


@pytest.mark.parametrize("given, said", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named(given, said):
    with pytest.raises(InputError, match=said):
        load(**given)


def test_a_pairing_needs_a_corpus():
    config = {"cohorts": {"c": {"clinical": "c.csv", "features": "f"}}, "encoders": {}}
    config |= {"corpora": {}, "retrieval": {"k": 5}}
    method = {"pairing": "random", "rank": 1}
    study = {"cohort": "c", "claims": [], "methods": {"m": method}}
    from histopair.plan.checks import survival

    said = survival.mistakes(config | {"survival": {"s": study}})
    assert said == ["survival.s.methods.m: pairing 'random' needs `retriever` of cohort 'c'"]
