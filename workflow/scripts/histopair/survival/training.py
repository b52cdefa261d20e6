"""One method and seed on a cohort: all folds in turn, from bags to a risk of every patient.

Text stage (methods with a pairing): a risk head learns from the embeddings of the paired reports,
as the frozen text tower of the retriever gives them. Main stage: gated attention learns the risk
and, through g, the report's embedding; at inference the bag alone is read.
"""

import json
import shutil
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save
from torch import Tensor, nn

from histopair.files import tables
from histopair.jobs import devices
from histopair.methods.clip_it.students import distillation
from histopair.retrieval import pairing
from histopair.survival import cohort, cox, features, folds, mil
from histopair.training import loop


@dataclass
class Run:
    """A cohort on the device, and how one method of a study is trained on it."""

    patients: pd.DataFrame
    bags: list[Tensor]
    texts: Tensor | None
    method: dict
    entry: dict
    seed: int
    device: torch.device

    def __post_init__(self):
        self.time = torch.tensor(self.patients["time"].to_numpy(np.float64)).to(self.device)
        self.event = torch.tensor(self.patients["event"].to_numpy(bool)).to(self.device)

    def split(self, fold: int) -> np.ndarray:
        """Train, val or test of each patient, the same for every method and seed."""
        fold_of, time, event = (
            self.patients[name].to_numpy() for name in ("fold", "time", "event")
        )
        return folds.splits(fold_of, time, event, fold, self.entry["val"], self.entry["seed"])


def read_bags(patients: pd.DataFrame, folder: str, cap: int | None) -> list[Tensor]:
    """The patches of each patient, (n_i, d); more than `cap` are thinned evenly."""
    return [_thinned(paths, cap) for paths in cohort.slide_paths(patients, folder)]


def paired_texts(
    patients: pd.DataFrame, method: dict, seed: int, texts: str, pairs: str | None
) -> Tensor | None:
    """Unit embeddings (patients, d_text) of the paired reports; None without a pairing."""
    if method["pairing"] == "none":
        return None
    names, kind, rank = patients["patient"], method["pairing"], method["rank"]
    used, own = pairing.texts_of(names, kind, rank, seed, texts, pairs)
    return torch.from_numpy(tables.matrix(texts, normalise=True)[used[own]])


def execute(run: Run, resume: str, out: dict[str, str], about: dict) -> None:
    """Train every fold; write out["weights"], out["history"] and out["predictions"].

    predictions: patient, fold (held out), split (of the patient in it), time, event, risk.
    """
    history, predictions, weights = [], [], {}
    everyone = torch.arange(len(run.patients))
    for fold in range(run.entry["folds"]):
        split = run.split(fold)
        devices.start(devices.seed_of(run.seed, "fold", fold))
        for stage in stages(run, fold, split):
            loop.fit(stage, devices.seed_of(run.seed, fold), resume, run.device)
            history += [row | {"fold": fold} for row in stage.history]
        risk = loop.predict(stage, everyone, run.device).squeeze(1).numpy()
        known = run.patients[["patient", "time", "event"]]
        predictions.append(known.assign(fold=fold, split=split, risk=risk))
        weights |= {f"fold-{fold}.{k}": v.cpu() for k, v in stage.model.state_dict().items()}
    tables.write(out["predictions"], pd.concat(predictions, ignore_index=True), about)
    tables.write(out["history"], pd.DataFrame(history), about)
    with tables.replacing(out["weights"]) as temporary:
        metadata = {"histopair": json.dumps(about, sort_keys=True, default=str)}
        temporary.write_bytes(save({k: v.contiguous() for k, v in weights.items()}, metadata))
    shutil.rmtree(resume, ignore_errors=True)


def stages(run: Run, fold: int, split: np.ndarray):
    """The stages of one fold, each trained before the next is asked for."""
    method, width = run.method, run.method["width"]
    bags = mil.Bags(run.bags[0].shape[1], width, method["attention"], method["dropout"])
    if run.texts is None:
        yield _stage(run, f"fold-{fold} main", mil.Unimodal(bags, width), split, _bag_loss(run))
        return
    texts = run.texts.to(run.device)
    head = mil.text_risk(texts.shape[1])
    yield _text_stage(run, f"fold-{fold} text", head, texts, split)
    model = mil.Distilled(bags, width, head, texts.shape[1])
    yield _stage(run, f"fold-{fold} main", model, split, _distilled_loss(run, texts))


def _text_stage(run: Run, name: str, head: nn.Module, texts: Tensor, split: np.ndarray):
    def loss(model, batch):
        value = _cox(run, model(texts[batch["rows"].to(run.device)]).squeeze(1), batch)
        return {"loss": value, "task": value}

    epochs = run.method["text_epochs"]
    return _stage(run, name, head, split, loss, fetch=lambda rows: {"rows": rows}, epochs=epochs)


def _bag_loss(run: Run):
    def loss(model, batch):
        value = _cox(run, model(*batch["bags"]), batch)
        return {"loss": value, "task": value}

    return loss


def _distilled_loss(run: Run, texts: Tensor):
    def loss(model, batch):
        risk, predicted = model(*batch["bags"])
        task = _cox(run, risk, batch)
        distilled = distillation(texts[batch["rows"].to(run.device)], predicted)
        total = task + run.method["distillation_weight"] * distilled
        return {"loss": total, "task": task, "distillation": distilled}

    return loss


def _cox(run: Run, risk: Tensor, batch: dict) -> Tensor:
    rows = batch["rows"].to(run.device)
    return cox.loss(risk, run.time[rows], run.event[rows], run.method["ties"])


def _stage(run: Run, name: str, model: nn.Module, split: np.ndarray, loss, fetch=None, **overrides):
    """A stage of the common loop; a batch is all patients unless the method says otherwise."""
    settings = {key: run.method[key] for key in loop.SETTINGS if key in run.method}
    settings["batch_size"] = settings.get("batch_size") or len(run.patients)
    train, val = (torch.from_numpy(np.flatnonzero(split == part)) for part in ("train", "val"))
    fetch = fetch or (lambda rows: {"rows": rows, "bags": flat(run, rows)})
    return loop.Stage(
        name,
        model.to(run.device),
        train,
        val,
        fetch,
        loss,
        scores=_scores,
        **(settings | overrides),
    )


def flat(run: Run, rows: Tensor) -> tuple[Tensor, Tensor, int]:
    """Patches of the patients in `rows` (P, d), the place of each one's patient (P,), patients."""
    chosen = [run.bags[row] for row in rows.tolist()]
    sizes = torch.tensor([len(bag) for bag in chosen])
    number = torch.arange(len(chosen)).repeat_interleave(sizes)
    return torch.cat(chosen).to(run.device), number.to(run.device), len(chosen)


def _scores(model: nn.Module, batch: dict) -> Tensor:
    """Risks (n, 1), as the loop wants scores."""
    risk = model(*batch["bags"])
    return (risk[0] if isinstance(risk, tuple) else risk).unsqueeze(1)


def _thinned(paths: list, cap: int | None) -> Tensor:
    patches = np.concatenate([features.read(path) for path in paths])
    if cap is not None and len(patches) > cap:
        patches = patches[np.linspace(0, len(patches) - 1, cap).round().astype(int)]
    return torch.from_numpy(patches)
