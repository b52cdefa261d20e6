"""Whatever is changed in a valid config, it is a configuration that can be planned, or one line."""

import copy
import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from histopair.errors import InputError
from histopair.plan import entries, recipes
from histopair.plan.load import load

ROOT = Path(__file__).parents[1]
WHOLE = """
title: all
datasets:
  patients:
    {reader: cohort, clinical: c.csv, columns: {patient: id}, features: {vit: f, clip: g},
     corpus: reports, split: {folds: 2}, max_patches: 9, time_unit: days}
  tiles:
    {reader: table, root: tiles, table: a.csv, columns: {path: file}, multi: false, corpus: reports,
     class_names: {a: an A}, classes: [a, b], match: {a: x|y}, truth: t.parquet, min_count: 2,
     split: {by: group, test: 0.3}, proposals: {encoder: bert}, labels_map: map.csv}
  folders: {reader: class_folders, root: f, folders: {one: train, two: test}, corpus: reports}
  rows: {of: tiles, split: {by: row}}
corpora:
  reports:
    {tables: [r.csv, {table: s.csv, id: case}], organ: [colon], skip_sections: [gross], truth: t}
encoders:
  clip: {library: open_clip, model: ViT-B-32, pretrained: openai}
  vit:
    {library: timm, model: vit, kwargs: {img_size: 64}, pixels: {size: 64, mean: [0.5, 0.5, 0.5]},
     weights: w.safetensors, checkpoint: {key: teacher, strip: [module.]}}
  bert: {library: transformers, model: b, pooling: cls}
  mine:
    library: open_clip
    model: local-dir:results/encoders/mine
    train:
      {kind: locked_clip, dataset: tiles, corpora: [reports], match: {a: x}, model: {embed_dim: 8},
       towers: {image: vit, text: bert}}
methods:
  mil: {recipe: mil, dropout: 0.1}
  mil-clip-it: {like: mil, recipe: mil_clip_it, retriever: clip, loss: breslow}
  head: {recipe: linear_head}
  clip-it: {recipe: clip_it, retriever: clip, lora: {rank: 4}, text_lora: null}
  random: {like: clip-it, pairing: random, datasets: {tiles: {epochs: 3}}}
  other: {like: random, datasets: {tiles: {lora: {rank: 2}}, rows: {rank: 2}}}
  tops: {recipe: fusion_partial, unfreeze: {image: 1, text: 0}, text_encoder: bert}
  cross: {recipe: cross_attention, unfreeze: 1, text_encoder: bert}
  reports: {recipe: text_reports, retriever: clip}
tunings:
  s:
    dataset: tiles
    encoder: vit
    method: clip-it
    space:
      lora.rank: [4, 8]
      lora.alpha: {times: lora.rank, of: [0.5]}
      distillation_weight: {low: 0.1, high: 5}
page: [main]
studies:
  main:
    datasets: [tiles, rows, folders]
    encoders: [vit]
    methods: [head, clip-it, random, other, tops, cross, reports]
    seeds: [0, 1]
    reference: head
    order: [head, clip-it]
    claims: [{claim: c, better: clip-it, worse: head, margin: 0.1, expect: no gain}]
    complementarity: {vision: head, text: reports}
  alive: {datasets: [patients], encoders: [vit], methods: [mil, mil-clip-it], metric: c_index}
"""
VALID = [yaml.safe_load(WHOLE), yaml.safe_load((ROOT / "tests/small.yaml").read_text())]

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.floats()
    | st.sampled_from(["", "x", "clip-it", "tiles", "{x}", "${NOWHERE}", "~", "a\nb", "\0", "("])
    | st.text(max_size=5)
    | st.dates()
    | st.binary(max_size=3)
)
names = st.sampled_from(["tiles", "rank", "of", "like", "recipe", "lora"]) | scalars
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


def places(part: object, path: tuple = ()) -> list[tuple]:
    """The path of each part of a config, the whole first."""
    children = []
    if isinstance(part, dict):
        children = list(part.items())
    elif isinstance(part, list):
        children = list(enumerate(part))
    return [path, *(place for key, value in children for place in places(value, (*path, key)))]


PLACES = [places(config)[1:] for config in VALID]


@st.composite
def mutated(draw) -> dict:
    """A valid config with one to three parts renamed, replaced, removed or added."""
    number = draw(st.integers(0, len(VALID) - 1))
    config = copy.deepcopy(VALID[number])
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(PLACES[number]))
        place = config
        try:
            for key in path:
                place = place[key]
            old = place[last]
            match draw(st.sampled_from(["rename", "replace", "remove", "add"])):
                case "rename" if isinstance(place, dict):
                    place[draw(names.filter(lambda name: name == name))] = place.pop(last)
                case "remove":
                    del place[last]
                case "add" if isinstance(old, dict):
                    old[draw(names)] = draw(anything)
                case _:
                    place[last] = draw(anything)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    return config


def plan(config: dict) -> None:
    """What the rules ask of a configuration before anything is made."""
    for study in config["studies"]:
        for run in entries.runs(config, study):
            method = entries.of_run(config, run)
            recipes.needs(method)
            entries.pairing_of(config, run["dataset"], method)
    entries.pairings(config)
    for section in ("datasets", "corpora", "encoders", "methods", "studies", "tunings"):
        assert re.compile("|".join(config[section])).groups == 0
    assert json.loads(json.dumps(config, allow_nan=False))


@given(mutated())
@settings(deadline=None, max_examples=400)
def test_any_change_of_a_valid_config_is_planned_or_one_line(config):
    said = ""
    try:
        plan(load(config))
    except InputError as mistake:
        said = str(mistake)
    assert len(said.splitlines()) <= 1


@pytest.mark.parametrize("config", VALID, ids=lambda config: config["title"])
def test_the_configs_that_are_changed_are_valid(config):
    plan(load(config))


@given(anything)
@settings(deadline=None)
def test_anything_instead_of_a_config_is_one_line(whole):
    with pytest.raises(InputError):
        load(whole)
