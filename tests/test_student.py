"""Students: the distillation by hand, the teacher's logits, the fair control, what is planned."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import test_methods
import torch
import yaml
from test_methods import LORA, execute, make
from torch.nn.functional import cross_entropy

from histopair.errors import InputError
from histopair.export import teaching
from histopair.files import tables
from histopair.methods import student
from histopair.plan import lineage, runs
from histopair.plan.load import load
from histopair.training import checkpoint, one_run, soft_targets
from workflow import CONFIG, ROOT

world = test_methods.world
TEACHERS = {"fusion_partial": {"encoder": "clip", "unfreeze": 1}, "lora": {"lora": LORA}}


def test_soft_targets_of_two_classes_by_hand():
    """At T = 2 the teacher says 3/4 to 1/4, the student 1/2 each."""
    teacher = torch.tensor([[2 * np.log(3.0), 0.0]])
    apart = 0.75 * np.log(0.75 / 0.5) + 0.25 * np.log(0.25 / 0.5)
    value = soft_targets.loss(torch.zeros(1, 2), teacher, 2.0, True)
    assert value.item() == pytest.approx(4 * apart)


def test_soft_targets_of_independent_classes_by_hand():
    """The same for one class, and a second one on which both agree: the mean over both."""
    teacher = torch.tensor([[2 * np.log(3.0), 1.0]])
    apart = 0.75 * np.log(0.75 / 0.5) + 0.25 * np.log(0.25 / 0.5)
    value = soft_targets.loss(torch.tensor([[0.0, 1.0]]), teacher, 2.0, False)
    assert value.item() == pytest.approx(4 * apart / 2, rel=1e-5)


@pytest.mark.parametrize("exclusive", [True, False])
def test_an_equal_student_has_nothing_to_learn(exclusive):
    logits = torch.randn(5, 3)
    assert soft_targets.loss(logits, logits, 3.0, exclusive).item() == pytest.approx(0, abs=1e-6)


def test_the_gradient_is_that_of_hintons_cross_entropy():
    """Eq. 2 times T^2: T (softmax(z / T) - softmax(v / T))."""
    logits, teacher = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3)
    (4 * soft_targets.loss(logits, teacher, 5.0, True)).backward()
    expected = 5 * ((logits / 5).softmax(1) - (teacher / 5).softmax(1))
    torch.testing.assert_close(logits.grad, expected)


@pytest.mark.parametrize("recipe", TEACHERS)
def test_a_teacher_predicts_for_every_sample_what_its_run_does(world, tmp_path, recipe):
    settings = TEACHERS[recipe]
    files = execute(world, tmp_path, recipe, **settings)
    run, out = make(world, recipe, **settings), str(tmp_path / "logits.parquet")
    teaching.write(run, files["weights"], out, {})
    assert list(tables.read(out)["sample_id"]) == list(run.samples["sample_id"])
    predictions = tables.read(files["predictions"])
    rows = run.samples.reset_index().set_index("sample_id")["index"][predictions["sample_id"]]
    scores = torch.from_numpy(tables.matrix(out, "logits")[rows]).softmax(1)
    np.testing.assert_allclose(scores, tables.matrix(files["predictions"], "scores"), atol=1e-5)


@pytest.fixture
def taught(world, tmp_path):
    """A student's run, whose teacher's logits are known and in another order than the samples."""
    run = make(world, "student", teacher_method="final", temperature=2.0, distillation_weight=0.5)
    logits = np.random.default_rng(0).normal(size=(len(run.samples), 2)).astype(np.float32)
    out, ids = tmp_path / "logits.parquet", list(run.samples["sample_id"])
    columns = {"sample_id": ids[::-1], "logits": tables.vectors(logits[::-1])}
    tables.write(out, pa.table(columns), {"classes": run.classes})
    run.artifacts = run.artifacts | {"teacher_logits": str(out)}
    return run, torch.from_numpy(logits)


def test_the_loss_is_that_of_the_labels_and_of_the_teacher(taught):
    run, teacher = taught
    (stage,) = student.build(run)
    rows = run.rows("train")[:5]
    batch, model = stage.fetch(rows), stage.model.eval()
    logits = model(*batch["inputs"])
    task = cross_entropy(logits, run.targets[rows])
    soft = soft_targets.loss(logits, teacher[rows], 2.0, True)
    losses = stage.loss(model, batch)
    torch.testing.assert_close(losses["task"], task)
    torch.testing.assert_close(losses["distillation"], soft)
    torch.testing.assert_close(losses["loss"], task + 0.5 * soft)


def test_a_teacher_of_no_weight_is_the_control(taught, world):
    run, _ = taught
    control = make(world, "student")
    ends = []
    for one in (replace(run, method=run.method | {"distillation_weight": 0.0}), control):
        stage, _ = one_run.train(one, "unused")
        ends.append(checkpoint.weights(stage.model))
    other, _ = one_run.train(run, "unused")
    for name, tensor in ends[0].items():
        torch.testing.assert_close(tensor, ends[1][name])
    weights = checkpoint.weights(other.model)
    assert any(not torch.allclose(weights[name], ends[0][name]) for name in weights)


def test_a_teacher_of_other_classes_is_one_clear_line(taught):
    run, _ = taught
    run.about["classes"] = ["c1", "c0"]
    with pytest.raises(InputError, match=r"logits.parquet: its teacher knows .*Run the teacher"):
        next(student.build(run))


# --- the plan ---


def planned(**method) -> dict:
    config = yaml.safe_load((ROOT / CONFIG).read_text(encoding="utf-8"))
    config["methods"]["student"] = {"recipe": "student", **method}
    config["studies"]["multi-label"]["methods"].append("student")
    return load(config)


OF_FUSION = {"teacher_method": "fusion-partial", "teacher_encoder": "phantom-clip"}


def test_a_student_waits_for_its_teachers_run_of_the_same_seed():
    config = planned(encoder="phantom-vit", **OF_FUSION)
    w = {"dataset": "phantom-quilt", "encoder": "phantom-vit", "method": "student", "seed": "3"}
    artifacts = runs.artifacts(config, SimpleNamespace(**w))
    teacher = "results/runs/phantom-quilt/phantom-clip/fusion-partial/3/logits.parquet"
    assert artifacts["teacher_logits"] == teacher
    roles = {source["role"]: source["name"] for source in lineage.sources(config, w)}
    assert roles["encoder"] == "phantom-vit" and roles["encoder of the teacher"] == "phantom-clip"


def test_a_student_without_a_teacher_waits_for_nobody():
    config = planned(encoder="phantom-vit")
    w = {"dataset": "phantom-quilt", "encoder": "phantom-vit", "method": "student", "seed": "0"}
    assert set(runs.artifacts(config, SimpleNamespace(**w))) == {"labels"}


@pytest.mark.parametrize(
    "method, message",
    [
        ({"teacher_method": "nobody"}, "teacher_method: 'nobody' is not allowed"),
        ({"teacher_method": "student"}, "teacher_method: 'student' is not allowed"),
        ({"teacher_method": "lora", "temperature": 0.0}, "temperature: it must be above 0"),
        ({"teacher_method": "lora", "teacher_encoder": "vgg"}, "teacher_encoder"),
        ({"teacher_method": "lora", "encoder": "phantom-vit"}, "name the encoder of the teacher"),
        ({"teacher_method": "clip-it"}, "method 'clip-it' needs reports, and dataset"),
    ],
)
def test_a_teacher_that_cannot_teach_is_one_line(method, message):
    with pytest.raises(InputError, match=message):
        planned(**method)
