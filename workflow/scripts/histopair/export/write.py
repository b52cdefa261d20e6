"""Write the folder of a finished run, and check it against the run before it gets its name."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

import histopair
from histopair import images
from histopair.errors import InputError
from histopair.evaluation import score
from histopair.evaluation.calibration import at_bound
from histopair.export import (
    architectures,
    card,
    finished,
    layers,
    mark,
    preprocessing,
    read,
    same_run,
)
from histopair.export.answer import Answer
from histopair.export.predictor import Predictor
from histopair.export.second_read import evidence, evidence_bank, measured
from histopair.files import tables
from histopair.images import pixels
from histopair.jobs import devices

LOGITS = 1e-4  # largest `apart` of any two forms of the model
LARGEST = 1.8e9  # bytes of weights inside an ONNX file, which can hold 2 GB


def apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference of two sets of logits, relative to the largest logit if above 1.

    float32 has seven digits: a linear probe's logits of some hundreds differ in the fourth decimal.
    """
    return float(np.abs(ours - theirs).max() / max(1.0, np.abs(theirs).max()))


def export(run, files: dict[str, str], described: dict, out: str, about: dict) -> None:
    """Write folder `out` from a run's `files`: weights, predictions, maybe evidence.

    `described` is for the model card: `run` (dataset, encoder, method, seed), `sources`
    (`lineage.sources`), `synthetic`; and `export`, the config's entry of that name. Raises
    InputError if the recipe cannot be exported, and if the folder would not predict what the run
    does.
    """
    model = finished.model_of(run, files["weights"])
    folder = Path(f"{out}.partial")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    scored = score.of_predictions(files["predictions"])
    config = _config(run, model, scored["calibration"], described, folder)
    config[mark.KEY] = devices.weights_digest(model)
    trusted = (files["predictions"], described["export"], folder)
    config["trust"] = measured.write(run, model, config, *trusted)
    if described["export"]["evidence"]:
        sources = described["sources"]
        bank = evidence_bank.of(run, model, files.get("evidence"), sources)
        config["evidence"] = evidence.save(bank, folder, config[mark.KEY])
    tables.write_json(folder / "config.json", config)
    tables.write_json(folder / "labels.json", _labels(run))
    state = {name: tensor.contiguous().clone() for name, tensor in model.state_dict().items()}
    with tables.replacing(folder / "model.safetensors") as temporary:
        save_file(state, temporary, {mark.KEY: config[mark.KEY]})  # one: order is random
    samples = same_run.some(run)
    inputs = finished.inputs_of(run, model, samples)
    if config["reads"] == ["image"]:
        how = ("logits", "features"), {mark.KEY: config[mark.KEY]}
        write_onnx(Answer(model), inputs[0], folder / "model.onnx", *how)
    difference = _check(run, model, folder, samples, inputs, files["predictions"])
    text = card.write(run, config, files["predictions"], scored, described, difference, about)
    tables.write_text(folder / "README.md", text)
    shutil.rmtree(out, ignore_errors=True)
    folder.rename(out)


def _config(run, model: Predictor, fitted: dict | None, described: dict, folder: Path) -> dict:
    entries = {"image": run.encoder_entry, "text": run.text_encoder_entry or run.encoder_entry}
    config = {
        "format": read.FORMAT,
        "histopair": histopair.__version__,
        "run": described["run"],
        "task": run.about["task"],
        "classes": run.classes,
        "synthetic": described["synthetic"],
        "reads": list(model.encoders),
        "encoders": {},
        "join": model.join,
        **({"recipe": model.recipe} if model.recipe else {}),
        "head": layers.describe(model.head),
        "temperature": fitted["temperature"] if fitted else 1.0,
        "calibrated": bool(fitted),
        "temperature_at_bound": bool(fitted) and at_bound(fitted["temperature"]),
    }
    for kind, encoder in model.encoders.items():
        parts = {other for other in model.encoders if entries[other] == entries[kind]}
        place = folder / "encoders" / encoder.name
        if isinstance(getattr(model, kind), nn.Sequential):
            layout = layers.describe(getattr(model, kind))
            config["encoders"][kind] = {"name": encoder.name, "layers": layout}
            continue
        if not place.is_dir():
            saved = architectures.save(encoder, entries[kind], place, parts)
        config["encoders"][kind] = saved
    if "image" in model.encoders:
        config["preprocessing"] = _preprocessing(model.encoders["image"])
    return config


def _preprocessing(encoder) -> list[dict]:
    try:
        return preprocessing.describe(encoder.preprocess)
    except ValueError as error:
        problem = f"an export cannot prepare images as it does ({error})"
        remedy = "Teach it to export/preprocessing.py, or export another encoder's run"
        raise InputError(f"encoder {encoder.name}", problem, remedy) from error


def _labels(run) -> list[dict]:
    names = run.about.get("class_names") or {}
    train = run.samples[run.samples["split"] == "train"]["labels"].explode().value_counts()
    return [
        {"label": label, "name": names.get(label, label), "train_samples": int(train.get(label, 0))}
        for label in run.classes
    ]


def write_onnx(
    model: nn.Module,
    batch: torch.Tensor,
    path: Path,
    outputs: tuple[str, ...] = ("logits",),
    about: dict[str, str] | None = None,
) -> None:
    """Input `pixels` (batch, 3, h, w) of any batch, output `logits` (batch, C), or `outputs`.

    about: the file's metadata.
    """
    size = sum(tensor.nbytes for tensor in model.state_dict().values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model,
            (batch[:1].repeat(2, 1, 1, 1),),  # of one image, torch would fix the batch size
            input_names=["pixels"],
            output_names=list(outputs),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            verbose=False,
        )
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # stack traces, with this machine's paths
    program.model.metadata_props.update(about or {})
    program.save(str(path), external_data=size > LARGEST)


def _check(run, model, folder: Path, samples, inputs, predictions: str) -> float:
    """Compare the folder's results with the model and the run; the largest difference to the run.

    The folder is read as its users read it: images, captions, its own preprocessing.
    """
    exported, batch, notes = read.load(folder), None, None
    if inputs[0] is not None:
        loaded = [images.load(run.root, p, pixels.CHECKED) for p in samples["path"]]
        batch = np.stack([exported.pixels(image) for image in loaded])
    if inputs[1] is not None:
        notes = list(samples["caption"])
    with torch.inference_mode():
        logits = model(*inputs).numpy()
    forms = {"model.safetensors": exported.logits}
    if (folder / "model.onnx").is_file():
        forms = {"model.onnx": exported.logits}
        forms["model.safetensors"] = read.torch_logits(folder, exported.config)
    for name, form in forms.items():
        difference = apart(form(batch, notes), logits)
        if not difference <= LOGITS:
            problem = f"its logits differ from the trained model's by {difference:.2g}"
            raise InputError(folder / name, problem, "Report this: the data is not at fault")
    return same_run.check(read.probabilities(logits, run.about["task"]), samples, predictions)
