"""One training run: a dataset, an encoder, a method and a seed, from artifacts to predictions."""

import importlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from safetensors.torch import save
from torch import Tensor, nn

from histopair import encoders
from histopair.datasets import few_labels
from histopair.encoders.activations import source as activations
from histopair.errors import InputError
from histopair.files import tables
from histopair.images import bags
from histopair.jobs import devices
from histopair.training import checkpoint, loop, parallel, tasks
from histopair.training.staged import Staged, train
from histopair.training.tasks import labelled

# Columns of a sample that its predictions keep; only some samples have a site or a follow-up.
KEPT = ("sample_id", "group", "split", "labels", "site", "time", "event")
NO_EPOCHS = {"stage": [], "epoch": [], "train_loss": [], "val_loss": []}  # a history


@dataclass
class Run(Staged):
    """What a method may read to build what the loop trains.

    `artifacts` holds the paths of what the method needs; `method` its parameters. A method that has
    a teacher sets `teacher`: it maps row numbers to the embeddings (n, d) that the method was held
    against, as they are after training. They are kept beside its predictions.
    """

    encoder_entry: dict
    retriever_entry: dict | None
    text_encoder_entry: dict | None = None
    teacher: Callable[[Tensor], Tensor] | None = None

    @classmethod
    def of(
        cls, spec: dict, artifacts: dict, seed: int, device: torch.device, image_cache_mb: int = 0
    ) -> "Run":
        """A run as plan makes its spec: `root` of the images, entries of encoders, `method`."""
        common = (artifacts, spec["root"], spec["method"], seed, device, image_cache_mb)
        return cls(*common, spec["encoder"], spec["retriever"], spec["text_encoder"])

    @property
    def recipe(self) -> ModuleType:
        """How the method trains (`build`) and how its finished runs predict (`predictor`)."""
        return importlib.import_module(f"histopair.methods.{self.method['recipe']}")

    @property
    def task(self) -> ModuleType:
        return tasks.TASKS[self.about["task"]]

    @property
    def classes(self) -> list[str]:
        return self.about["classes"]

    @cached_property
    def class_shares(self) -> Tensor:
        """The share of the train split's samples that have each class, (C,)."""
        return self.indicator[self.rows("train")].float().mean(0).to(self.device)

    @cached_property
    def indicator(self) -> Tensor:
        """Booleans (n, C): which sample has which class."""
        return labelled.indicator(self.samples["labels"], self.classes)

    @cached_property
    def targets(self) -> Tensor:
        """The task's targets, n rows."""
        return self.task.targets(self.samples, self.classes).to(self.device)

    def rows(self, split: str, labelled: bool = True) -> Tensor:
        """Row numbers of a split; where labels are few, `labelled` alone or all.

        The test split is always whole. Another seed draws other labels.
        """
        rows, most = super().rows(split), self.about.get("labels_per_class")
        if not (most and labelled) or split == "test":
            return rows
        seed = devices.seed_of(self.seed, "labels", split)
        return rows[few_labels.labelled(self.samples.iloc[rows.numpy()], most, seed)]

    def require_exclusive(self) -> None:
        """Raise InputError for a dataset whose samples do not have one class each."""
        if not self.task.EXCLUSIVE:
            problem = f"recipe {self.method['recipe']} needs one class per image"
            raise InputError(self.artifacts["labels"], problem, "Choose a single-label dataset")

    def encoder(self) -> encoders.Encoder:
        """A fresh copy of the run's encoder, on the device."""
        return _on_device(encoders.load(self.encoder_entry), self.device)

    def retriever(self) -> encoders.Encoder:
        """A fresh copy of the CLIP that paired images with reports.

        Raises InputError if it is not among the recipe's needs.
        """
        if self.retriever_entry is None:
            problem = "it takes the retriever, which is not among its needs"
            remedy = "Add 'retriever' to its NEEDS, or to what its function needs() returns"
            raise InputError(f"recipe {self.method['recipe']}", problem, remedy)
        return _on_device(encoders.load(self.retriever_entry), self.device)

    def embeddings(self, kind: str) -> Tensor:
        """The cached vectors (n, d) of each sample's image or caption, raw, float32.

        kind: "image_embeddings", "caption_embeddings" or "teacher_images". Raises InputError if a
        sample has none.
        """
        key = "sample_id" if kind == "caption_embeddings" else "image_id"
        path = self.artifacts[kind]
        keys, missing = tables.read(path, [key])[key], "no embedding of {}"
        remedy = "A method that reads text needs a caption for every sample: choose another dataset"
        position = tables.positions(self.samples[key], keys, path, missing, f"{remedy} for it")
        vectors = tables.matrix(path)[position].astype(np.float32)
        return torch.from_numpy(vectors).to(self.device)

    def bags(self) -> bags.Source:
        """The patches of each sample, a bag."""
        slides, most = self.samples["slides"], self.about.get("max_patches")
        return bags.Source(slides, self.artifacts["bags"], most, self.device)

    def tower(self, kind: str, blocks: int) -> tuple[nn.Module, int, activations.Fetch]:
        """The last blocks of the "image" or "text" tower, its width, and the fetch of inputs."""
        return activations.tower(self, kind, blocks)

    def tokens(self) -> tuple[int, activations.Fetch]:
        """The width of the frozen image tower's tokens, and the fetch of those of n rows."""
        return activations.tokens(self)

    def stage(self, name, model, fetch, loss, scores=None, whole=False, **overrides) -> loop.Stage:
        """As Staged.stage, with the task's targets in each batch, head rates and augmentations.

        `whole` for a loss that compares a batch's samples, as some tasks' losses do.
        """
        settings = {"rates": self.rates("head"), "turns": self.method.get("augmentations", 1)}
        settings["whole"] = whole or self.task.WHOLE

        def with_targets(rows, *turns):
            return {"targets": self.targets[rows], **fetch(rows, *turns)}

        return super().stage(name, model, with_targets, loss, scores, **(settings | overrides))

    def rates(self, *fresh: str) -> dict[str, float]:
        """The head's own learning rate, if set, for submodules that start at random."""
        rate = self.method.get("head_learning_rate")
        return {} if rate is None else dict.fromkeys(fresh, rate)

    def classifier(
        self, model: nn.Module, fetch: Callable[..., tuple], name: str = "main", **overrides
    ) -> loop.Stage:
        """The stage of a plain classifier: model(*fetch(rows)) gives the logits (n, C)."""

        def loss(model, batch):
            value = self.task_loss(model(*batch["inputs"]), batch)
            return {"loss": value, "task": value}

        return self.stage(
            name,
            model,
            fetch=lambda rows, *turns: {"inputs": fetch(rows, *turns)},
            loss=loss,
            scores=lambda model, batch: self.scores(model(*batch["inputs"])),
            **overrides,
        )

    def task_loss(self, logits: Tensor, batch: dict) -> Tensor:
        """The method's `loss` of logits (n, C) against the batch's targets."""
        kind = self.method.get("loss", "plain")
        shares = None if kind == "plain" else self.class_shares
        return self.task.loss(logits.float(), batch["targets"], kind, shares)

    def scores(self, logits: Tensor) -> Tensor:
        """From float32: bfloat16 has no number between 0.996 and 1, so sure classes would tie."""
        return self.task.scores(logits.float())


def execute(run: Run, resume: str, out: dict[str, str], about: dict, events: str = "") -> None:
    """Train the method and write weights, history and predictions; only the first process writes.

    `events` is a folder for TensorBoard, or "" for none.
    """
    stage, history = train(run, resume, events)
    predictions = _predictions(run, stage)
    if parallel.rank():
        return
    about |= {"task": run.about["task"], "classes": run.classes, "parameters": _count(stage.model)}
    tables.write(out["predictions"], predictions, about)
    tables.write(out["history"], pd.DataFrame(history or NO_EPOCHS), about)
    write_weights(stage.model, out["weights"], about)
    shutil.rmtree(resume, ignore_errors=True)


def _predictions(run: Run, stage: loop.Stage) -> pa.Table:
    rows = torch.cat([run.rows(split) for split in run.task.PREDICTED])
    scores = loop.predict(stage, rows, run.device).numpy()
    kept = [name for name in KEPT if name in run.samples]
    samples = run.samples.iloc[rows.numpy()][kept]
    table = pa.Table.from_pandas(samples, preserve_index=False)
    table = table.append_column("scores", tables.vectors(scores))
    if run.teacher is None:
        return table
    targets = tables.narrowed(run.teacher(rows).float().cpu().numpy(), np.float16)
    return table.append_column("teacher", tables.vectors(targets))


def write_weights(model: nn.Module, path: str, about: dict) -> None:
    """Only what training changes: adapters, heads and batch statistics, not what stays frozen."""
    weights = {k: t.cpu().contiguous() for k, t in checkpoint.weights(model).items()}
    with tables.replacing(path) as temporary:
        temporary.write_bytes(save(weights, {"histopair": json.dumps(about, sort_keys=True)}))


def _count(model: nn.Module) -> dict[str, int]:
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return {"total": sum(n for n, _ in sizes), "trained": sum(n for n, grad in sizes if grad)}


def _on_device(encoder: encoders.Encoder, device: torch.device) -> encoders.Encoder:
    for tower in (encoder.image, encoder.text):
        if tower is not None:
            tower.to(device).requires_grad_(False)
    return encoder
