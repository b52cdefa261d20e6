"""What a model costs, by hand; what a distilled run makes of its test images."""

import numpy as np
import pytest
import test_methods
import torch
from safetensors.torch import load_file
from test_methods import LORA, execute, make
from torch import nn

from histopair.analyses import cost, representations, tradeoff
from histopair.errors import InputError
from histopair.files import tables
from histopair.methods import clip_it

world = test_methods.world
BY_PROMPTS = ("zero_shot", "contrastive")  # recipes whose published code encodes them in each pass
CLIP_IT = {"lora": LORA, "text_lora": LORA, "text_epochs": 1, "epochs": 1}


def test_a_linear_layer_costs_two_operations_per_weight():
    assert cost.flops(nn.Linear(5, 7), (torch.randn(3, 5),)) == 2 * 3 * 5 * 7
    assert cost.parameters(nn.Linear(5, 7)) == 5 * 7 + 7


def test_attention_is_counted_though_it_is_fused():
    n, d = 10, 32
    layer = nn.MultiheadAttention(d, 4, batch_first=True).eval()

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x, x, x, need_weights=False)[0]

    by_hand = 2 * n * d * 4 * d + 2 * 2 * n * n * d
    assert cost.flops(Own(), (torch.randn(1, n, d),)) == by_hand


@pytest.fixture(scope="module")
def trained(world, tmp_path_factory):
    """Runs by recipe, and the files that they wrote."""
    asked = {"clip_it": CLIP_IT, "linear_head": {"epochs": 1}, "zero_shot": {"encoder": "clip"}}
    asked["contrastive"] = {"encoder": "clip", "epochs": 1, "lora": LORA, "text_lora": LORA}
    made = {}
    for recipe, parameters in asked.items():
        files = execute(world, tmp_path_factory.mktemp(recipe), recipe, **parameters)
        made[recipe] = (make(world, recipe, **parameters), files)
    return made


def asked_encoder(recipe):
    return "clip" if recipe in BY_PROMPTS else "vit"


@pytest.fixture(scope="module")
def table(trained):
    before = cost.ROUNDS
    cost.ROUNDS = 1
    entries = [
        {
            "run": run,
            "weights": files["weights"],
            "column": "vit",
            "encoder": asked_encoder(recipe),
            "method": recipe,
            "templates": ["{}", "an image of {}"],
        }
        for recipe, (run, files) in trained.items()
    ]
    found = cost.measure(entries, torch.device("cpu")).set_index(["method", "variant"])
    cost.ROUNDS = before
    return found


def test_merged_adapters_cost_nothing_and_a_text_branch_almost_nothing(table, trained):
    bare, exported = (table.loc[(m, cost.EXPORTED)] for m in ("linear_head", "clip_it"))
    unmerged = table.loc[("clip_it", cost.UNMERGED)]
    run, files = trained["clip_it"]
    width, text, classes = 24, 16, 2
    branch = 2 * width * (classes + 2 * text) + 2 * text * classes - 2 * width * classes
    assert 1e9 * (exported["gflops"] - bare["gflops"]) == pytest.approx(branch)
    assert unmerged["gflops"] > exported["gflops"]
    assert unmerged["parameters"] > exported["parameters"] > bare["parameters"]
    sizes = sum(tensor.numel() for tensor in load_file(files["weights"]).values())
    assert exported["trained_parameters"] == unmerged["trained_parameters"] == sizes
    assert bare["trained_parameters"] == width * classes + classes
    backbone = cost.parameters(run.encoder().image)
    assert bare["parameters"] == backbone + bare["trained_parameters"]


@pytest.mark.parametrize("recipe", BY_PROMPTS)
def test_prompts_in_each_pass_are_counted_with_the_text_tower(table, trained, recipe):
    once, each = (table.loc[(recipe, v)] for v in (cost.EXPORTED, cost.PROMPTED))
    clip = trained[recipe][0].encoder()
    words = [template.format(c) for c in ("c0", "c1") for template in ("{}", "an image of {}")]
    tokens = clip.tokenize(words)
    longest = int((tokens != clip.pad_id).sum(1).max())
    text = cost.flops(clip.text, (tokens[:, :longest],))
    assert 1e9 * (each["gflops"] - once["gflops"]) == pytest.approx(text)
    assert each["parameters"] - once["parameters"] == cost.parameters(clip.text)
    assert once["own_encoder"] == "clip"


def test_every_row_says_where_it_was_measured(table):
    assert (table["latency_ms"] > 0).all() and (table["images_per_second"] > 0).all()
    assert table["threads"].eq(torch.get_num_threads()).all()
    assert table["device"].str.len().gt(0).all()


def test_costs_stand_beside_the_mean_of_a_metric_in_each_dataset(table, tmp_path):
    costs = table.reset_index()
    costs["encoder"] = "vit"
    members = []
    for dataset, seed, value in (("d", 0, 0.5), ("d", 1, 0.7), ("e", 0, 0.1)):
        path = tmp_path / f"{dataset}{seed}.json"
        tables.write_json(path, {"splits": {"test": {"accuracy": value}}})
        run = {"dataset": dataset, "column": "vit", "method": "clip_it", "metrics": path}
        members.append(run)
    found = tradeoff.with_quality(costs, members, "accuracy")
    assert found.groupby("dataset")["value"].unique().map(list).to_dict() == {
        "d": pytest.approx([0.6]),
        "e": pytest.approx([0.1]),
    }
    assert set(found["variant"]) == {cost.EXPORTED, cost.UNMERGED}


@pytest.fixture(scope="module")
def represented(world, trained, tmp_path_factory):
    run, files = trained["clip_it"]
    run.artifacts["text_embeddings"] = world["artifacts"]["text_embeddings"]
    out = str(tmp_path_factory.mktemp("representations") / "representations.parquet")
    representations.represent(run, files["weights"], files["predictions"], out, {})
    return run, files, out


def test_representations_are_those_the_run_predicted_with(represented):
    run, files, out = represented
    table, model = tables.read(out), clip_it.trained(run, load_file(files["weights"]))[0]
    assert set(table["split"]) == {"test"}
    features, predicted = (
        torch.from_numpy(tables.matrix(out, name).astype(np.float32))
        for name in ("features", "predicted")
    )
    model.eval()
    with torch.inference_mode():
        scores = run.scores(model.classify(features, predicted)).numpy()
    made = tables.read(files["predictions"], ["split"])["split"] == "test"
    expected = tables.matrix(files["predictions"], "scores")[made.to_numpy()]
    np.testing.assert_allclose(scores, expected, atol=5e-3)


def test_the_frozen_teacher_is_the_retrievers_embedding_of_the_paired_text(represented):
    run, _, out = represented
    pairs = tables.read(run.artifacts["pairs"]).set_index("image_id")["report_id"]
    reports = tables.read(run.artifacts["reports"])
    table = tables.read(out, ["sample_id", "text"])
    assert list(reports["report_id"].iloc[table["text"]]) == list(pairs[table["sample_id"]])
    everything = tables.matrix(run.artifacts["text_embeddings"])
    expected = everything[table["text"]].astype(np.float16)
    np.testing.assert_array_equal(tables.matrix(out, "frozen"), expected)


@pytest.mark.parametrize("teacher", ["fixed", "joint"])
def test_what_a_run_was_taught_is_kept_beside_its_predictions(world, tmp_path, teacher):
    out = execute(world, tmp_path, "clip_it", **(CLIP_IT | {"teacher": teacher}))
    taught = tables.matrix(out["predictions"], "teacher")
    assert taught.shape == (len(tables.read(out["predictions"])), 16)
    np.testing.assert_allclose(np.linalg.norm(taught.astype(float), axis=1), 1, atol=2e-3)
    assert len(np.unique(taught, axis=0)) == 2  # the texts in use


def test_predictions_without_their_teacher_are_refused(trained, represented):
    run, files, out = represented
    older = trained["linear_head"][1]["predictions"]
    with pytest.raises(InputError, match="teacher"):
        representations.represent(run, files["weights"], older, out + "2", {})
