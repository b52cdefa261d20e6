"""Load an exported folder and predict with it: through onnxruntime, or through torch."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from histopair.errors import InputError
from histopair.export import mark, preprocessing

FORMAT = 1  # of config.json; goes up when an older reader would misread it
# The keys that config.json must have, and their types.
KEYS = {"run": dict, "task": str, "classes": list, "synthetic": bool, "reads": list}
KEYS |= {"encoders": dict, "join": (str, dict), "head": list}
KEYS |= {"calibrated": bool, "temperature": (int, float)}
RUN = ("dataset", "encoder", "method", "seed")
REMEDY = "Give the folder that the workflow wrote to results/exports"


@dataclass
class Exported:
    """An exported model: `probabilities(pixels, notes)` -> (n, C).

    pixels: float32 (n, 3, h, w) or None; notes: n strings or None; `reads` names those it needs.
    answer(pixels, notes) gives the logits and, in the same pass, the image's features (n, d): None
    if it reads no image, and from folders whose model.onnx has no features. room(note) is the
    number of tokens that a note may have, if it fills them all, else 0.
    """

    folder: Path
    config: dict
    labels: list[dict]
    answer: Callable[[np.ndarray | None, list[str] | None], tuple[np.ndarray, np.ndarray | None]]
    room: Callable[[str], int]

    @property
    def reads(self) -> list[str]:
        return self.config["reads"]

    @property
    def has_torch(self) -> bool:
        """Whether `predictor` can be had."""
        return find_spec("torch") is not None

    @cached_property
    def predictor(self):
        """The model in torch, which has gradients and takes the towers apart."""
        return _torch_model(self.folder, self.config)

    def logits(self, pixels: np.ndarray | None, notes: list[str] | None) -> np.ndarray:
        return self.answer(pixels, notes)[0]

    def pixels(self, image: Image.Image) -> np.ndarray:
        """Pixels (3, h, w) of an RGB image."""
        return preprocessing.apply(self.config["preprocessing"], image)

    def probabilities(self, pixels: np.ndarray | None, notes: list[str] | None) -> np.ndarray:
        """Calibrated with the temperature that was fitted on validation, or 1."""
        return self.probabilities_of(self.logits(pixels, notes))

    def probabilities_of(self, logits: np.ndarray) -> np.ndarray:
        """The probabilities of logits (n, C). Raises InputError for logits that are no numbers."""
        if not np.isfinite(logits).all():
            raise InputError(self.folder, "it gives no number for this", "Export another run")
        return probabilities(logits / self.config["temperature"], self.config["task"])


def load(folder: str | Path) -> Exported:
    """The model of an exported folder; nothing is read from elsewhere, nothing unpickled.

    Models of images alone run in onnxruntime if it is installed: it starts in a tenth of torch's
    time and does not need the encoder's library. Raises InputError for a folder that is not an
    export, or if neither is installed.
    """
    folder = Path(folder)
    config = _config(folder / "config.json")
    labels = _labels(folder / "labels.json", config["classes"])
    answer = _onnx_answer(folder, config) if config["reads"] == ["image"] else None
    if answer is not None:
        return Exported(folder, config, labels, answer, room=lambda note: 0)
    model = _torch_model(folder, config)
    exported = Exported(folder, config, labels, _answer_of(model), partial(_room, model))
    exported.predictor = model
    return exported


def probabilities(logits: np.ndarray, task: str) -> np.ndarray:
    """Softmax over classes for "single", a sigmoid per class for "multi"; (n, C)."""
    logits = logits.astype(np.float64)
    if task == "multi":
        return np.exp(-np.logaddexp(0, -logits))
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


def onnx_logits(folder: Path) -> Callable | None:
    """logits(pixels, notes) of model.onnx; None without the file or without onnxruntime."""
    answer = _onnx_answer(folder, {})
    return answer and (lambda pixels, notes: answer(pixels, notes)[0])


def _onnx_answer(folder: Path, config: dict) -> Callable | None:
    file = folder / "model.onnx"
    if not file.is_file():
        return None
    try:
        import onnxruntime
    except ImportError:
        return None
    from histopair import jobs

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = jobs.threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(file), options, ["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a class of its own for each of its codes
        problem = f"onnxruntime cannot read it ({str(error).splitlines()[0]})"
        raise InputError(file, problem, "Copy the whole folder again, or export again") from error
    mark.check(file, session.get_modelmeta().custom_metadata_map, config)
    named = {output.name for output in session.get_outputs()}
    outputs = ["logits", "features"] if "features" in named else ["logits"]  # older folders
    return lambda pixels, notes: (*session.run(outputs, {"pixels": pixels}), None)[:2]


def torch_logits(folder: Path, config: dict) -> Callable:
    """logits(pixels, notes) of model.safetensors."""
    answer = _answer_of(_torch_model(folder, config))
    return lambda pixels, notes: answer(pixels, notes)[0]


def _torch_model(folder: Path, config: dict):
    try:
        import torch  # noqa: F401
    except ImportError as error:
        problem = "neither torch nor onnxruntime with a model.onnx is there"
        raise InputError(folder, problem, "Install one of them") from error
    from histopair.export.predictor import rebuild

    model = rebuild(folder, config)
    mark.check_tensors(folder / "model.safetensors", config)
    return model


def _room(model, note: str) -> int:
    """A note is full if more text after it does not change its tokens, in any tokenizer."""
    from histopair.encoders import embed

    text = model.encoders.get("text")
    if text is None:
        return 0
    tokens, lengths = embed.tokenize_all(text.tokenize, text.pad_id, [note, f"{note} {note}"])
    return int(lengths[0]) if (tokens[0] == tokens[1]).all() else 0


def _answer_of(model) -> Callable:
    import torch

    from histopair.export.answer import Answer, tokens_of

    both = Answer(model)

    @torch.inference_mode()
    def answer(
        pixels: np.ndarray | None, notes: list[str] | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        image = None if pixels is None else torch.from_numpy(pixels)
        logits, features = both(image, tokens_of(model, notes))
        return logits.numpy(), None if features is None else features.numpy()

    return answer


def _config(file: Path) -> dict:
    config = _read(file)
    if not isinstance(config, dict):
        raise InputError(file, "it does not describe a model", REMEDY)
    if config.get("format") != FORMAT:
        problem = f"its format is {config.get('format')!r}, this histopair reads {FORMAT}"
        raise InputError(file, problem, "Export the run again")
    wrong = [key for key, kind in KEYS.items() if not isinstance(config.get(key), kind)]
    wrong = wrong or [f"run.{key}" for key in RUN if key not in config["run"]]
    steps = config.get("preprocessing")
    if not wrong and "image" in config["reads"] and not isinstance(steps, list):
        wrong = ["preprocessing"]
    if wrong:
        raise InputError(file, f"{wrong[0]!r} is missing or malformed", "Export the run again")
    return config


def _labels(file: Path, classes: list[str]) -> list[dict]:
    rows = _read(file)
    whole = isinstance(rows, list) and all(
        isinstance(row, dict) and {"label", "name"} <= row.keys() for row in rows
    )
    if not whole or [row["label"] for row in rows] != classes:
        problem = f"it does not name the {len(classes)} classes of config.json in their order"
        raise InputError(file, problem, "Export the run again")
    return rows


def _read(file: Path) -> dict | list:
    if not file.is_file():
        raise InputError(file, "there is no such file", REMEDY)
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(file, f"it is not JSON ({error})", REMEDY) from error
