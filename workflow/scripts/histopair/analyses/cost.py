"""What each method costs at inference (CLIP-IT, Section 4.6): parameters, FLOPs and time.

Models are those that runs export, with adapters merged. Beside them is what the published code
pays: adapters left in, and prompts encoded anew in each pass. Times are of this machine, and no
two runs of this stage are alike.
"""

import json
import platform
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from histopair.analyses.timing import interleaved
from histopair.analyses.tradeoff import EXPORTED
from histopair.encoders import embed, prompts
from histopair.export import finished
from histopair.export.predictor import Predictor
from histopair.training import one_run

UNMERGED = "adapters left in"
PROMPTED = "prompts in each pass"
BATCH = 32  # of the throughput; latency is of one image
ROUNDS, SECONDS = 60, 60.0  # to measure one encoder at one batch size
COLUMNS = ["encoder", "method", "own_encoder", "variant", "parameters", "trained_parameters"]
COLUMNS += ["gflops", "latency_ms", "images_per_second", "device", "threads"]


class Prompted(nn.Module):
    """A prompt-based predictor that embeds the classes' prompts anew in each pass."""

    def __init__(self, model: Predictor, text: nn.Module, tokens: Tensor):
        super().__init__()
        self.model, self.text = model, text
        self.register_buffer("tokens", tokens)

    def forward(self, *inputs: Tensor) -> Tensor:
        self.text(self.tokens)
        return self.model(*inputs)


def measure(entries: list[dict], device: torch.device) -> pd.DataFrame:
    """A row for each run's method and variant, those of one column timed in turn.

    entries: dicts of `run` (one_run.Run on the CPU), `weights`, `column`, `encoder`, `method` and
    `templates`, the prompts of the encoder. One image is counted and timed; FLOPs count a multiply
    and an add as two.
    """
    rows = []
    for column in dict.fromkeys(entry["column"] for entry in entries):
        variants = {}
        for entry in entries:
            if entry["column"] == column:
                variants |= _variants(entry)
        rows += _rows(column, variants, device)
    return pd.DataFrame(rows, columns=COLUMNS)


def restored(entry: dict) -> dict:
    """An entry of `measure` from the workflow's account of a run: names, files, parameters."""
    files = entry["files"]
    run = one_run.Run.of(entry["spec"], files, entry["seed"], torch.device("cpu"))
    names = ("column", "encoder", "method", "templates")
    return {"run": run, "weights": files["weights"], **{name: entry[name] for name in names}}


def flops(model: nn.Module, inputs: tuple) -> int:
    """Floating point operations of a forward pass, by torch's counter.

    It misses fused attention and the fast path of nn.MultiheadAttention, so both are turned off.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        counter, plain = FlopCounterMode(display=False), sdpa_kernel(SDPBackend.MATH)
        with torch.inference_mode(), plain, counter:
            model(*inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return counter.get_total_flops()


def parameters(model: nn.Module) -> int:
    """How many numbers the model's parameters hold."""
    return sum(parameter.numel() for parameter in model.parameters())


def machine(device: torch.device) -> str:
    """The name of the processor or GPU that computes."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _variants(entry: dict) -> dict[tuple[str, str], dict]:
    """(method, variant): the model and what it takes, for one run."""
    run, weights = entry["run"], load_file(entry["weights"])
    model = run.recipe.predictor(run, weights)
    inputs = finished.inputs_of(run, model, run.samples[run.samples["split"] == "test"][:1])
    models = {EXPORTED: (model, inputs)}
    if hasattr(run.recipe, "trained") and run.method["lora"]:
        models[UNMERGED] = (run.recipe.trained(run, weights)[0], inputs[:1])
    if getattr(run.recipe, "PROMPTS_IN_EACH_PASS", False):
        models[PROMPTED] = (_prompted(run, model, entry["templates"]), inputs)
    with safe_open(entry["weights"], "pt") as file:
        counts = json.loads(file.metadata()["histopair"])["parameters"]
    common = {
        "own_encoder": entry["encoder"] if entry["encoder"] != entry["column"] else "",
        "trained_parameters": counts["trained"],
    }
    return {
        (entry["method"], variant): common
        | {"model": model.eval().requires_grad_(False), "inputs": inputs}
        for variant, (model, inputs) in models.items()
    }


def _prompted(run, model: Predictor, templates: list[str]) -> Prompted:
    clip = run.encoder()
    words = list(prompts.of_classes(run.artifacts["labels"], templates)["prompt"])
    tokens, lengths = embed.tokenize_all(clip.tokenize, clip.pad_id, words)
    return Prompted(model, clip.text, tokens[:, : lengths.max()])


def _rows(column: str, variants: dict[tuple[str, str], dict], device: torch.device) -> list[dict]:
    operations = {key: flops(v["model"], v["inputs"]) for key, v in variants.items()}
    one, many = (_times(variants, size, device) for size in (1, BATCH))
    return [
        {
            "encoder": column,
            "method": method,
            "own_encoder": v["own_encoder"],
            "variant": name,
            "parameters": parameters(v["model"]),
            "trained_parameters": v["trained_parameters"],
            "gflops": operations[method, name] / 1e9,
            "latency_ms": 1000 * one[method, name],
            "images_per_second": BATCH / many[method, name],
            "device": machine(device),
            "threads": torch.get_num_threads() if device.type == "cpu" else "",
        }
        for (method, name), v in variants.items()
    ]


def _times(variants: dict, size: int, device: torch.device) -> dict[tuple[str, str], float]:
    """Median seconds of a pass of `size` images."""
    with torch.inference_mode():
        passes = {key: _pass(variant, size, device) for key, variant in variants.items()}
        return interleaved(passes, ROUNDS, seconds=SECONDS)


def _pass(variant: dict, size: int, device: torch.device) -> Callable[[], None]:
    model = variant["model"].to(device)
    inputs = [
        x if x is None else x.repeat_interleave(size, 0).to(device) for x in variant["inputs"]
    ]

    def run() -> None:
        model(*inputs)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return run
