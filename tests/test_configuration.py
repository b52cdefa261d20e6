"""A mistake in the config is one line that names the key, the value and what is allowed."""

import copy
from pathlib import Path

import pytest
import yaml

from histopair.errors import InputError
from histopair.pages import distinct
from histopair.plan import entries, recipes
from histopair.plan.load import load

CONFIGS = sorted(Path(__file__).parents[1].glob("config/*.yaml"))
CONFIGS += sorted(Path(__file__).parent.glob("real/*.yaml"))


def small() -> dict:
    return yaml.safe_load(
        """
        datasets:
          tiles: {reader: table, root: tiles, corpus: reports}
          tiles-rows: {of: tiles, split: {by: row}}
        corpora:
          reports: {table: reports.csv}
        encoders:
          clip: {library: open_clip, model: ViT-B-32, pretrained: openai}
          vit: {library: timm, model: vit_small_patch16_224}
        methods:
          head: {recipe: linear_head, epochs: 3}
          clip-it: {recipe: clip_it, retriever: clip, epochs: 3}
          clip-it-random: {like: clip-it, pairing: random}
        studies:
          main: {datasets: [tiles], encoders: [vit], methods: [head, clip-it, clip-it-random]}
        """
    )


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_config_of_the_repository_is_valid(path):
    assert load(yaml.safe_load(path.read_text()))["studies"]


def test_defaults_are_filled_in_at_every_depth():
    config = load(small())
    assert (config["retrieval"]["k"], config["retrieval"]["pool"]) == (5, "max")
    assert config["retrieval"]["approximate"]["above"] == 100_000
    assert config["retrieval"]["sinkhorn"]["temperature"] == 0.05
    assert config["methods"]["head"]["learning_rate"] == 0.001
    assert config["methods"]["clip-it"]["lora"] == {
        "rank": 16,
        "alpha": 8,
        "targets": "all",
        "blocks": "all",
    }
    assert config["datasets"]["tiles-rows"]["split"] == {
        "by": "row",
        "test": 0.2,
        "val": 0.1,
        "seed": 0,
        "duplicates": "keep",
    }


def test_like_takes_over_what_is_not_said():
    method = load(small())["methods"]["clip-it-random"]
    assert (method["pairing"], method["epochs"], method["retriever"]) == ("random", 3, "clip")
    assert "like" not in method


def test_part_of_a_parameter_leaves_the_rest_at_its_default():
    config = small()
    config["methods"]["clip-it"]["lora"] = {"rank": 4}
    lora = load(config)["methods"]["clip-it"]["lora"]
    assert lora == {"rank": 4, "alpha": 8, "targets": "all", "blocks": "all"}


MISTAKES = [
    (
        ("retrieval",),
        {"top_k": 3},
        "retrieval: unknown key 'top_k'; allowed are ['approximate', 'compare', 'csls', ",
    ),
    (("retrieval",), {"pool": "median"}, "retrieval.pool: 'median' is not allowed; allowed are"),
    (("studies", "main", "methods"), ["clipit"], "studies.main.methods: 'clipit' is not allowed"),
    (("studies", "main", "datasets"), ["tile"], "studies.main.datasets: 'tile' is not allowed"),
    (("studies", "main", "reference"), "lora", "studies.main.reference: 'lora' is not allowed"),
    (
        ("studies", "main", "claims"),
        [{"claim": "c", "better": "lora", "worse": "head"}],
        "studies.main.claims.0.better: 'lora' is not allowed; allowed are ['clip-it'",
    ),
    (
        ("studies", "main", "claims"),
        [{"claim": "c", "better": "clip-it", "worse": "head", "expect": "loss"}],
        "studies.main.claims.0.expect: 'loss' is not allowed",
    ),
    (
        ("studies", "main", "claims"),
        [{"claim": "c", "better": "clip-it", "worse": "head", "metric": "f2"}],
        "studies.main.claims.0.metric: 'f2' is not allowed",
    ),
    (
        ("studies", "main", "claims"),
        [{"claim": "c", "better": "clip-it", "worse": "head", "datasets": ["tiles-rows"]}],
        "studies.main.claims.0.datasets: 'tiles-rows' is not allowed; allowed are ['tiles']",
    ),
    (
        ("studies", "main", "claims"),
        [{"claim": "c", "better": "head", "worse": "head"}],
        "studies.main.claims.0: 'better' and 'worse' are both 'head'; name two methods",
    ),
    (("studies", "main", "claims"), [{"claim": "c"}], "'better' is a required property"),
    (("datasets", "tiles", "corpus"), "none", "datasets.tiles.corpus: 'none' is not allowed"),
    (
        ("corpora", "reports", "chunk_words"),
        48,
        "corpora.reports: unknown key 'chunk_words'; chunk_words: delete it: each retriever cuts ",
    ),
    (("corpora", "reports", "chunk_tokens"), 7, "corpora.reports.chunk_tokens: 7 is less than"),
    (("datasets", "tiles", "reader"), "pcm", "datasets.tiles.reader: 'pcm' is not allowed"),
    (("datasets", "tiles", "reader"), "path_pattern", "tiles: 'pattern' is a required property"),
    (("datasets", "tiles", "pattern"), "(?P<label>.", "tiles.pattern: '(?P<label>.' is not a reg"),
    (("datasets", "tiles", "pattern"), "(?P<class>.)", "tiles.pattern: 'class' is not allowed"),
    (("datasets", "tiles", "pattern"), "(.)", "tiles.pattern: it has no group (?P<label>...)"),
    (
        ("datasets", "tiles", "amended_splits"),
        ["val"],
        "datasets.tiles.amended_splits: nothing reads it without 'amendments'",
    ),
    (("datasets", "tiles-rows", "amendments"), "a.csv", "a resplit cannot have 'amendments'"),
    (("studies", "main", "active_learning"), {}, "dataset 'tiles' has no truth; only a phantom's"),
    (("studies", "main", "gate"), True, "studies.main.gate: corpus 'reports' has no truth; name"),
    (("studies", "main", "active_learning"), {"pools": ["all"]}, "'all' is not allowed"),
    (("datasets", "tiles-rows", "of"), "x", "datasets.tiles-rows.of: 'x' is not allowed"),
    (("encoders", "vit", "library"), "tim", "encoders.vit.library: 'tim' is not allowed"),
    (
        ("methods", "head", "recipe"),
        "uni",
        "methods.head.recipe: 'uni' is not allowed",
    ),
    (
        ("methods", "head", "lambda"),
        1,
        "methods.head: unknown key 'lambda'; allowed are",
    ),
    (("methods", "clip-it", "rank"), 9, "methods.clip-it.rank: 9 is not allowed; at most"),
    (("methods", "clip-it", "rank"), "one", "methods.clip-it.rank: 'one' is not allowed"),
    (("methods", "clip-it", "pairing"), "best", "methods.clip-it.pairing: 'best' is not allowed"),
    (("methods", "clip-it", "pairing"), "oracle", "it is for the phantom only"),
    (("methods", "clip-it", "lora"), {"r": 4}, "methods.clip-it.lora: unknown key 'r'"),
    (
        ("methods", "clip-it", "lora"),
        {"blocks": 0},
        "methods.clip-it.lora.blocks: 0 is not allowed; a int such as 1, or 'all', is",
    ),
    (
        ("methods", "clip-it", "text_lora"),
        {"blocks": "most"},
        "methods.clip-it.text_lora.blocks: 'most' is not allowed",
    ),
    (("methods", "clip-it-random", "like"), "clip", "methods.clip-it-random.like: 'clip' is not"),
    (
        ("methods", "head", "epochs"),
        0,
        "methods.head.epochs: 0 is less than the minimum",
    ),
    (
        ("methods", "head", "learning_rate"),
        "1e-4",
        "methods.head.learning_rate: '1e-4'",
    ),
]


@pytest.mark.parametrize(("path", "value", "message"), MISTAKES, ids=lambda x: str(x)[:40])
def test_a_mistake_names_the_key_the_value_and_what_is_allowed(path, value, message):
    config = small()
    place = config
    for key in path[:-1]:
        place = place.setdefault(key, {})
    place[path[-1]] = value
    with pytest.raises(InputError) as error:
        load(config)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_dataset_without_a_corpus_cannot_be_paired():
    config = small()
    del config["datasets"]["tiles"]["corpus"]
    with pytest.raises(InputError, match="'tiles' names no `corpus`; allowed are"):
        load(config)


def test_all_mistakes_are_told_at_once():
    config = small()
    config["datasets"]["tiles"]["corpus"] = "x"
    config["encoders"]["vit"]["library"] = "y"
    with pytest.raises(InputError, match=r"corpus: 'x'.*library: 'y'"):
        load(config)


def test_a_mistake_that_like_takes_over_is_told_where_it_was_made():
    config = small()
    config["methods"]["clip-it"] |= {"rank": 9, "datasets": {"tiles": {"epochs": 0}}}
    config["methods"]["other"] = {"like": "clip-it-random", "teacher": "both"}
    config["methods"]["alike"] = {"recipe": "clip_it", "retriever": "clip", "rank": 9}
    with pytest.raises(InputError) as error:
        load(config)
    told = str(error.value)
    assert told.count("rank: 9") == 2 and "methods.alike.rank" in told
    assert "methods.other.teacher: 'both'" in told and "clip-it-random" not in told


def test_an_unknown_key_is_told_once_whatever_the_recipes_that_take_it_over():
    config = small()
    config["methods"]["clip-it"] |= {"epocs": 9}
    config["methods"]["lora"] = {"like": "clip-it", "recipe": "lora"}
    config["methods"]["lora-more"] = {"like": "lora", "epochs": 2}
    with pytest.raises(InputError) as error:
        load(config)
    told = str(error.value)
    assert told.count("'epocs'") == told.count("(did you mean 'epochs'?)") == 1
    assert "methods.clip-it: unknown key 'epocs'; allowed are" in told
    # What only the other recipe does not know is told of the method that has this recipe.
    assert "methods.lora: unknown key 'retriever'" in told and "methods.lora-more" not in told


@pytest.mark.parametrize("likes", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b", "b": "b"}], ids=str)
def test_a_method_cannot_be_like_itself(likes):
    config = small()
    config["methods"] |= {name: {"like": other} for name, other in likes.items()}
    with pytest.raises(InputError, match=r"methods\.[ab]\.like: '[ab]' is not allowed"):
        load(config)


def test_the_users_config_is_left_as_it_was():
    config = small()
    before = copy.deepcopy(config)
    load(config)
    assert config == before


def test_runs_are_the_product_of_a_study_and_methods_without_chance_run_once():
    config = small()
    config["methods"]["zero-shot"] = {"recipe": "zero_shot", "encoder": "clip"}
    config["studies"]["main"]["methods"].append("zero-shot")
    runs = entries.runs(load(config), "main")
    assert len(runs) == 3 * 3 + 1


@pytest.mark.parametrize("recipe", ["fusion_frozen", "zero_shot"])
def test_a_method_that_reads_texts_needs_an_encoder_of_texts(recipe):
    config = small()
    config["methods"]["texts"] = {"recipe": recipe}
    config["studies"]["main"]["methods"] = ["head", "texts"]
    with pytest.raises(
        InputError, match=r"main: method 'texts' reads .* 'vit' \(timm\) has no text"
    ):
        load(config)
    config["studies"]["main"]["encoders"] = ["clip"]
    assert load(config)


def test_a_text_encoder_reads_texts_beside_an_encoder_of_images():
    config = small()
    config["methods"]["texts"] = {"recipe": "fusion_frozen", "text_encoder": "clip"}
    config["studies"]["main"]["methods"] = ["head", "texts"]
    assert load(config)


def test_pairings_are_those_that_studies_use():
    assert entries.pairings(load(small())) == [
        {"encoder": "clip", "dataset": "tiles", "corpus": "reports", "correction": ""}
    ]


def test_a_corrected_pairing_belongs_to_the_view_whose_train_split_it_looks_at():
    config = small()
    config["datasets"]["rows"] = {"of": "tiles", "split": {"by": "row"}}
    config["methods"]["clip-it-csls"] = {"like": "clip-it", "pairing": "csls"}
    config["studies"]["main"] |= {"datasets": ["rows"], "methods": ["clip-it", "clip-it-csls"]}
    found = entries.pairings(load(config))
    assert [(pair["dataset"], pair["correction"]) for pair in found] == [
        ("tiles", ""),
        ("rows", ".csls"),
    ]


def test_compared_corrections_stand_beside_each_retrieved_pairing():
    config = small()
    config["retrieval"] = {"compare": ["sinkhorn", "csls"]}
    found = entries.pairings(load(config))
    assert [pair["correction"] for pair in found] == ["", ".sinkhorn", ".csls"]


@pytest.mark.parametrize("pairing", ["csls", "inverted-softmax", "sinkhorn"])
def test_a_corrected_pairing_has_no_more_ranks_than_are_kept(pairing):
    config = small()
    config["methods"]["clip-it"] |= {"pairing": pairing, "rank": 9}
    with pytest.raises(InputError, match="rank: 9 is not allowed"):
        load(config)


def test_what_other_jobs_train_with_a_studys_seeds_is_not_repeated_with_others():
    config = small()
    config["methods"]["adapted"] = {"recipe": "image_only"}
    config["methods"]["alone"] = {"recipe": "student"}
    config["methods"]["taught"] = {"recipe": "student", "teacher_method": "adapted"}
    config["methods"]["distilled"] = {"recipe": "distil_lora", "retriever": "clip"}
    study = config["studies"]["main"]
    claim = {"claim": "c", "better": "head", "worse": "head-again"}
    config["methods"]["head-again"] = config["methods"]["head"]
    study |= {"claims": [claim], "reference": "head", "repetitions": 2}
    study["methods"] = ["head", "head-again", "alone"]
    load(config)
    for name in ("taught", "distilled"):
        study["methods"] = ["head", "head-again", name]
        with pytest.raises(InputError, match=rf"main.repetitions: method '{name}' learns from wha"):
            load(config)
        load(config | {"studies": {"main": study | {"repetitions": 0}}})
    study |= {"methods": ["head", "head-again"], "claims": []}
    with pytest.raises(InputError, match=r"main.repetitions: it counts how often claims hold"):
        load(config)


TRAINED = {"library": "timm", "model": "local-dir:results/encoders/mine"}
TRAINING = {"kind": "classifier", "dataset": "tiles", "architecture": "vit", "model": {}}


def with_trained_encoder(**training) -> dict:
    config = small()
    config["encoders"]["mine"] = TRAINED | {"train": TRAINING | training}
    config["datasets"]["tiles-cv"] = {"of": "tiles", "split": {"folds": 3}}
    study = {"methods": ["head"], "claims": [], "reference": "head", "encoders": ["mine"]}
    config["studies"]["main"] |= study
    return config


@pytest.mark.parametrize("judged", ["tiles-rows", "tiles-cv", "tiles-cv-fold-1"])
def test_an_encoder_is_not_judged_on_samples_whose_labels_it_may_have_learnt(judged):
    config = with_trained_encoder()
    study = config["studies"]["main"]
    line = rf"main: encoder 'mine' learnt labels of 'tiles', and '{judged}' splits .*; compare on"
    study["datasets"] = [judged]
    with pytest.raises(InputError, match=line):
        load(config)
    # The same of a backbone, of a tower that another was built from, and of a teacher's.
    config["encoders"]["clip"]["backbone"] = "mine"
    with pytest.raises(InputError, match=line):
        load(config | {"studies": {"main": study | {"encoders": ["clip"]}}})
    train = TRAINING | {"towers": {"image": "mine"}}
    other = {"library": "timm", "model": "local-dir:results/encoders/other", "train": train}
    config["encoders"]["other"] = other
    with pytest.raises(InputError, match=line):
        load(config | {"studies": {"main": study | {"encoders": ["other"]}}})
    config["methods"]["taught"] = {"recipe": "student", "teacher_method": "adapted"}
    config["methods"]["adapted"] = {"recipe": "image_only", "encoder": "mine"}
    with pytest.raises(InputError, match=line):
        load(config | {"studies": {"main": study | {"encoders": ["vit"], "methods": ["taught"]}}})


def test_an_encoder_is_judged_on_the_split_that_it_was_trained_on_or_on_other_samples():
    config = with_trained_encoder()
    config["studies"]["main"] |= {"datasets": ["tiles"], "labels": [2, "all"]}
    load(config)
    config = with_trained_encoder(dataset="tiles-rows")
    config["studies"]["main"]["datasets"] = ["tiles-rows"]
    load(config)
    config = with_trained_encoder(kind="clip")
    del config["encoders"]["mine"]["train"]["architecture"]
    config["encoders"]["mine"]["library"] = "open_clip"
    config["studies"]["main"]["datasets"] = ["tiles-rows"]
    load(config)  # it reads no labels
    config = with_trained_encoder()
    config["studies"]["main"]["datasets"] = ["tiles-rows"]
    config["studies"]["main"]["encoders"] = ["vit"]
    load(config)


def test_a_method_with_an_encoder_of_its_own_stands_in_every_column_and_runs_once():
    config = small()
    config["methods"]["head"]["encoder"] = "clip"
    config["studies"]["main"] |= {"encoders": ["vit", "clip"], "seeds": [0]}
    runs = entries.runs(load(config), "main")
    own = [run for run in runs if run["method"] == "head"]
    assert [(run["encoder"], run["column"]) for run in own] == [("clip", "vit"), ("clip", "clip")]
    assert len(distinct(own)) == 1


def test_the_page_shows_the_studies_that_report_names():
    config = small()
    config["studies"]["other"] = {**config["studies"]["main"], "methods": ["head"]}
    config["page"] = ["other"]
    checked = load(config)
    assert entries.shown_studies(checked) == ["other"] and not entries.pairings(checked)
    assert entries.pairings(load(config | {"page": ["main"]}))
    with pytest.raises(InputError, match=r"page: 'nothing' is not allowed.*main"):
        load(config | {"page": ["nothing"]})


@pytest.mark.parametrize("key", ["encoder", "text_encoder"])
def test_an_encoder_that_a_method_names_must_exist(key):
    config = small()
    config["methods"]["fusion"] = {"recipe": "fusion_frozen", key: "resnet"}
    with pytest.raises(InputError, match=rf"methods.fusion.{key}: 'resnet' is not allowed"):
        load(config)


UNFREEZE = [
    (2, ("image_activations", "caption_activations"), (2, 2)),
    ({"image": 3, "text": 0}, ("image_activations", "caption_embeddings"), (3, 0)),
    ({"image": 0}, ("image_embeddings", "caption_activations"), (0, 2)),
    (0, ("image_embeddings", "caption_embeddings"), (0, 0)),
    ("all", ("images", "captions"), ("all", "all")),
    ({"image": "all", "text": 0}, ("images", "caption_embeddings"), ("all", 0)),
]


@pytest.mark.parametrize("written, needs, blocks", UNFREEZE)
def test_a_tower_of_which_no_block_trains_needs_no_activations(written, needs, blocks):
    config = small()
    config["methods"]["tops"] = {"recipe": "fusion_partial", "unfreeze": written}
    method = load(config)["methods"]["tops"]
    assert recipes.needs(method) == needs
    assert tuple(recipes.blocks(method, tower) for tower in ("image", "text")) == blocks


@pytest.mark.parametrize("wrong", [-1, True, None, "two", {"images": 1}, {"image": 1.5}, [2, 2]])
def test_blocks_that_are_no_numbers_are_one_line(wrong):
    config = small()
    config["methods"]["tops"] = {"recipe": "fusion_partial", "unfreeze": wrong}
    with pytest.raises(InputError, match=r"methods\.tops\.unfreeze"):
        load(config)


def test_attention_has_no_tokens_where_no_block_trains():
    config = small()
    config["methods"]["tops"] = {"recipe": "cross_attention", "unfreeze": {"text": 0}}
    with pytest.raises(InputError, match=r"methods.tops.unfreeze.text: 0 is not allowed"):
        load(config)


def test_a_tower_that_is_read_as_embeddings_has_one_augmentation():
    config = small()
    method = {"recipe": "fusion_partial", "unfreeze": {"image": 0}, "augmentations": 8}
    config["methods"]["tops"] = method
    with pytest.raises(InputError, match=r"augmentations: 8 is not allowed if no block of"):
        load(config)


def test_a_tile_has_eight_augmentations():
    config = small()
    config["methods"]["tops"] = {"recipe": "image_only", "augmentations": 9}
    with pytest.raises(InputError, match=r"tops.augmentations: 9 is not allowed; 1 to 8 are"):
        load(config)


def test_a_study_by_labels_compares_on_a_resplit_for_each_number():
    config = small()
    config["studies"]["main"] |= {"labels": [2, "all"], "methods": ["probe", "clip-it"]}
    config["methods"]["probe"] = {"recipe": "linear_probe"}
    loaded = load(config)
    assert loaded["studies"]["main"]["datasets"] == ["tiles-2-labels", "tiles"]
    resplit = loaded["datasets"]["tiles-2-labels"]
    assert resplit["of"] == "tiles" and resplit["split"]["labels"] == 2
    assert resplit["split"]["val"] == loaded["datasets"]["tiles"]["split"]["val"]
    runs = entries.runs(loaded, "main")
    seeds = {
        d: [r["seed"] for r in runs if (r["dataset"], r["method"]) == (d, "probe")]
        for d in loaded["studies"]["main"]["datasets"]
    }
    assert seeds == {"tiles-2-labels": [0, 1, 2], "tiles": [0]}  # a seed draws the labels


def test_few_labels_are_a_resplit_and_their_names_are_kept():
    config = small()
    config["datasets"]["tiles"]["split"] = {"labels": 3}
    with pytest.raises(InputError, match=r"tiles.split.labels: only a resplit .*of: tiles"):
        load(config)
    config = small()
    config["studies"]["main"]["labels"] = [2]
    config["datasets"]["tiles-2-labels"] = {"of": "tiles", "split": {"seed": 9}}
    with pytest.raises(InputError, match=r"tiles-2-labels: this name is kept for 'tiles' with 2"):
        load(config)
