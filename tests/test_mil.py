"""Cox's loss, gated attention, and CLIP-IT on bags of patients whose hazard is known."""

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.linear_model.coxph import CoxPHOptimizer
from sksurv.util import Surv

from histopair.errors import InputError
from histopair.files import tables
from histopair.images import bags
from histopair.methods.mil import attention
from histopair.training import cox, loop, one_run, parallel, processes
from histopair.training.staged import train
from histopair.training.tasks import survival

CPU = torch.device("cpu")
METHOD = {"recipe": "mil", "width": 8, "attention": 4, "dropout": 0.0, "epochs": 60}
METHOD |= {"learning_rate": 0.01, "optimizer": "adamw", "weight_decay": 0.01, "clip": 1.0}
METHOD |= {"batch_size": 1000}
TAUGHT = METHOD | {"recipe": "mil_clip_it", "pairing": "retrieved", "rank": 1, "text_epochs": 20}
TAUGHT |= {"distillation_weight": 1.0, "retriever": "clip", "corpus": ""}


def loss(risk, time, event, ties="efron"):
    tensors = torch.tensor(risk, dtype=torch.float64), torch.tensor(time), torch.tensor(event)
    return cox.loss(*tensors, ties)


def by_hand(risk, time, event, ties):
    """The definition, death by death."""
    terms = []
    for moment in sorted({t for t, e in zip(time, event, strict=True) if e}):
        at_risk = sum(math.exp(r) for r, t in zip(risk, time, strict=True) if t >= moment)
        dying = [r for r, t, e in zip(risk, time, event, strict=True) if e and t == moment]
        for place, r in enumerate(dying):
            share = place / len(dying) if ties == "efron" else 0
            terms.append(math.log(at_risk - share * sum(map(math.exp, dying))) - r)
    return sum(terms) / len(terms)


def test_three_patients_by_hand():
    """Deaths at 1 (of three) and 3 (alone); the second is censored at 2."""
    expected = (math.log(math.e + 1 + math.exp(2)) - 1 + 0) / 2
    assert loss([1.0, 0.0, 2.0], [1, 2, 3], [True, False, True]).item() == pytest.approx(expected)


def test_two_deaths_at_once_by_hand():
    """All risks 0, three patients, two die together: Efron log 3 + log 2, Breslow 2 log 3."""
    arguments = [0.0] * 3, [1, 1, 2], [True, True, False]
    assert loss(*arguments).item() == pytest.approx((math.log(3) + math.log(2)) / 2)
    assert loss(*arguments, "breslow").item() == pytest.approx(math.log(3))


patients = st.lists(
    st.tuples(st.floats(-3, 3), st.integers(0, 5), st.booleans()), min_size=1, max_size=12
).filter(lambda rows: any(event for _, _, event in rows))


@given(patients, st.sampled_from(["efron", "breslow"]))
def test_the_loss_is_its_definition_with_any_ties(rows, ties):
    risk, time, event = zip(*rows, strict=True)
    assert loss(risk, time, event, ties).item() == pytest.approx(by_hand(risk, time, event, ties))


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("moments", [3, 30, 10_000])  # from many ties to hardly any
def test_the_loss_and_its_gradient_are_those_of_scikit_survival(ties, moments):
    """Its referee means over patients, ours over events; a risk is a coefficient of its own."""
    rng = np.random.default_rng(moments)
    risk, time = rng.normal(size=200), rng.integers(1, moments + 1, 200)
    event = rng.random(200) < 0.4
    referee = CoxPHOptimizer(np.eye(200), event, time, np.zeros(200), ties)
    per_event = 200 / event.sum()
    tensor = torch.tensor(risk, requires_grad=True)
    value = cox.loss(tensor, torch.tensor(time), torch.tensor(event), ties)
    value.backward()
    assert value.item() == pytest.approx(referee.nlog_likelihood(risk) * per_event, rel=1e-8)
    referee.update(risk)
    np.testing.assert_allclose(tensor.grad, referee.gradient * per_event, atol=1e-8)


def test_a_batch_without_events_teaches_nothing():
    risk = torch.tensor([1.0, 2.0], requires_grad=True)
    value = cox.loss(risk, torch.tensor([1, 2]), torch.tensor([False, False]))
    value.backward()
    assert value.item() == 0
    assert risk.grad.tolist() == [0, 0]


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_minimising_it_gives_the_coefficients_of_scikit_survival(ties):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    time = np.ceil(rng.exponential(3 * np.exp(-x @ [0.8, -0.5])))  # many ties
    event = rng.random(60) < 0.7
    reference = CoxPHSurvivalAnalysis(ties=ties).fit(x, Surv.from_arrays(event, time)).coef_
    weight = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=30)
    data = torch.tensor(x), torch.tensor(time), torch.tensor(event)

    def closure():
        optimizer.zero_grad()
        value = cox.loss(data[0] @ weight, data[1], data[2], ties)
        value.backward()
        return value

    optimizer.step(closure)
    np.testing.assert_allclose(weight.detach(), reference, atol=1e-4)


def test_gated_attention_is_equation_9_bag_by_bag():
    torch.manual_seed(0)
    layer, bags = attention.GatedAttention(5, 3), [torch.randn(n, 5) for n in (4, 1, 7)]
    flat, number = torch.cat(bags), torch.arange(3).repeat_interleave(torch.tensor([4, 1, 7]))
    expected = []
    for bag in bags:
        scores = []
        for h in bag:
            tanh = torch.tanh(layer.tanh.weight @ h + layer.tanh.bias)
            gate = torch.sigmoid(layer.gate.weight @ h + layer.gate.bias)
            scores.append(layer.score.weight[0] @ (tanh * gate) + layer.score.bias[0])
        weights = torch.stack(scores).softmax(0)
        expected.append(sum(w * h for w, h in zip(weights, bag, strict=True)))
    torch.testing.assert_close(layer(flat, number, 3), torch.stack(expected))


def test_a_bag_does_not_depend_on_its_neighbours_or_its_order():
    torch.manual_seed(0)
    layer, bag, other = attention.GatedAttention(5, 3), torch.randn(6, 5), 50 * torch.randn(9, 5)
    alone = layer(bag, torch.zeros(6, dtype=torch.long), 1)[0]
    number = torch.tensor([0] * 6 + [1] * 9)
    together = layer(torch.cat([bag.flip(0), other]), number, 2)[0]
    torch.testing.assert_close(alone, together)


@pytest.mark.parametrize("kind, ties", [("plain", "efron"), ("breslow", "breslow")])
def test_the_tasks_loss_is_coxs(kind, ties):
    risk, time, event = torch.tensor([1.0, 0, 2]), torch.tensor([1.0, 1, 2]), torch.ones(3)
    found = survival.loss(risk[:, None], torch.stack([time, event], 1), kind)
    assert found == cox.loss(risk, time, event, ties)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """60 patients whose log-hazard is twice the last feature of their patches."""
    from test_cohort_readers import slide

    folder, rng = tmp_path_factory.mktemp("bags"), np.random.default_rng(0)
    hazard = rng.normal(size=60)
    names = [f"p{i:02d}" for i in range(60)]
    for name, h in zip(names, hazard, strict=True):
        patches = rng.normal(size=(rng.integers(2, 6), 4))
        slide(folder / "features" / f"{name}.h5", np.c_[patches, np.full(len(patches), 2 * h)])
    split = np.resize(["train", "train", "val", "test"], 60)
    known = {"sample_id": names, "image_id": names, "path": names, "group": names, "split": split}
    time, event = rng.exponential(np.exp(-2 * hazard)), rng.random(60) < 0.7
    frame = pd.DataFrame(known | {"time": time, "event": event, "slides": [[n] for n in names]})
    about = {"task": "survival", "classes": ["risk"], "class_names": {"risk": "risk"}}
    tables.write(folder / "labels.parquet", frame.assign(labels=[[]] * 60, caption=None), about)
    reports = pd.DataFrame({"report_id": names, "chunk": 0, "text": "a"})
    tables.write(folder / "chunks.parquet", reports, {})
    texts = np.c_[hazard, rng.normal(size=(60, 2))].astype(np.float32)
    vectors = pa.Table.from_pandas(reports[["report_id", "chunk"]], preserve_index=False)
    vectors = vectors.append_column("embedding", tables.vectors(texts))
    tables.write(folder / "texts.parquet", vectors, {})
    pairs = pd.DataFrame({"image_id": names, "rank": 1, "report_id": names, "chunk": 0})
    tables.write(folder / "pairs.parquet", pairs, {})
    return folder


def made(folder, method):
    named = {"labels": "labels.parquet", "bags": "features", "reports": "chunks.parquet"}
    named |= {"pairs": "pairs.parquet", "text_embeddings": "texts.parquet"}
    artifacts = {name: str(folder / file) for name, file in named.items()}
    spec = {"root": "", "encoder": {}, "retriever": None, "text_encoder": None, "method": method}
    return one_run.Run.of(spec, artifacts, 0, CPU)


def outputs(folder):
    return {name: folder / f"{name}.out" for name in ("weights", "history", "predictions")}


@pytest.mark.parametrize("method", [METHOD, TAUGHT], ids=["mil", "mil_clip_it"])
def test_a_known_hazard_is_recovered_in_patients_not_trained_on(folder, tmp_path, method):
    one_run.execute(made(folder, method), str(tmp_path / "resume"), outputs(tmp_path), {})
    found = tables.read(tmp_path / "predictions.out")
    assert len(found) == 60 and set(found["split"]) == {"train", "val", "test"}
    test = found[found["split"] == "test"]
    hazard = np.random.default_rng(0).normal(size=60)
    place = test["sample_id"].str[1:].astype(int)
    assert spearmanr(test["scores"].str[0], hazard[place]).statistic > 0.7


def test_a_training_repeats_bit_for_bit(folder, tmp_path):
    short = TAUGHT | {"epochs": 3, "text_epochs": 2, "dropout": 0.25}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        run = made(folder, short)
        one_run.execute(run, str(tmp_path / "resume"), outputs(tmp_path / name), {})
    for name in ("weights", "history", "predictions"):
        one, other = (outputs(tmp_path / place)[name].read_bytes() for place in "ab")
        assert one == other


@pytest.mark.parametrize("method", [METHOD, TAUGHT], ids=["mil", "mil_clip_it"])
def test_risk_sets_are_those_of_the_whole_batch_in_any_number_of_processes(
    folder, tmp_path, method
):
    short = method | {"batch_size": 15, "epochs": 2, "text_epochs": 2, "dropout": 0.25}
    short = {key: value for key, value in short.items() if key in method}

    def histories(count):
        def work():
            one = made(folder, short)
            stage, history = train(one, str(tmp_path / f"resume{count}"))
            rows = [[v for k, v in row.items() if k != "stage"] for row in history]
            found = {"history": rows, "weights": stage.model.state_dict()}
            torch.save(found, tmp_path / f"{count}-{parallel.rank()}.pt")

        processes.launch(work, count)
        return torch.load(tmp_path / f"{count}-{count - 1}.pt", weights_only=True)

    torch.testing.assert_close(histories(2), histories(1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("method", [METHOD, TAUGHT], ids=["mil", "mil_clip_it"])
def test_a_batch_with_risk_sets_does_not_pass_in_parts(folder, tmp_path, method):
    with pytest.raises(InputError, match=r"stage: its loss compares.*Set accumulate to 1"):
        train(made(folder, method | {"accumulate": 2}), str(tmp_path))


def test_attention_trains_with_dropout_and_predicts_without(folder):
    *_, stage = made(folder, TAUGHT | {"dropout": 0.5, "epochs": 1}).recipe.build(
        made(folder, TAUGHT | {"dropout": 0.5, "epochs": 1})
    )
    stage.model.train()
    assert stage.model.backbone.training
    rows = torch.arange(60)
    assert torch.equal(loop.predict(stage, rows, CPU), loop.predict(stage, rows, CPU))


def test_inference_reads_no_text(folder):
    """Another text in the batch changes no risk: the fused risk is a function of the bag."""
    run = made(folder, TAUGHT)
    *_, stage = run.recipe.build(run)
    stage.model.eval()
    batch = stage.fetch(torch.arange(5))
    before = stage.scores(stage.model, batch)
    batch["text"] = torch.randn_like(batch["text"])
    torch.testing.assert_close(stage.scores(stage.model, batch), before)


def test_bags_larger_than_the_cap_are_thinned_evenly(tmp_path):
    from test_cohort_readers import slide

    slide(tmp_path / "a.h5", np.arange(10).reshape(10, 1))
    source = bags.Source([["a"]], str(tmp_path), 4, CPU)
    assert source.patches[0].flatten().tolist() == [0, 3, 6, 9]


def test_patches_lie_below_each_other_with_the_place_of_their_bag(tmp_path):
    from test_cohort_readers import slide

    for name, count in (("a", 2), ("b", 1), ("c", 3)):
        slide(tmp_path / f"{name}.h5", np.full((count, 2), ord(name)))
    source = bags.Source([["a"], ["b", "c"]], str(tmp_path), None, CPU)
    patches, number, count = source(torch.tensor([1, 0]))
    assert patches[:, 0].tolist() == [98, 99, 99, 99, 97, 97]
    assert (number.tolist(), count) == ([0, 0, 0, 0, 1, 1], 2)
