"""How long `histopair serve` takes to start and to answer with a ViT-B/16, and what it remembers.

Random weights, all cores, onnxruntime. Cold start: from the call to the first answer of
/api/models. An answer: an image of 1024 x 1024 sent whole, and asked about by its id. Memory: of
the server before and after requests with small images, one of a hundred of them hostile. Beside the
seconds of the wall stand those of the server's processor, which a busy machine does not stretch.

    .venv/bin/python benchmarks/serve.py [REQUESTS]
"""

import io
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))
from histopair.jobs import limit_threads

limit_threads(os.cpu_count() or 1)

import numpy as np
import psutil
from PIL import Image

CLASSES, ASKED = 9, 20


def exported(folder: Path) -> Path:
    """A ViT-B/16 with a linear head, in the form that an export of images alone has."""
    import timm
    import torch
    from torch import nn

    from histopair.encoders import Encoder
    from histopair.export import write
    from histopair.export.predictor import Predictor

    torch.manual_seed(0)
    tower = timm.create_model("vit_base_patch16_224", num_classes=0).eval()
    head = nn.Linear(tower.num_features, CLASSES)
    model = Predictor(head, image=Encoder("vit", image=tower)).eval().requires_grad_(False)
    write.write_onnx(model, torch.zeros(1, 3, 224, 224), folder / "model.onnx")
    (folder / "model.safetensors").touch()
    classes = [f"c{i}" for i in range(CLASSES)]
    names = {"dataset": "random", "encoder": "vit-b-16", "method": "linear", "seed": "0"}
    steps = [{"step": "resize", "size": 224, "filter": "bicubic"}]
    steps += [{"step": "centre_crop", "size": [224, 224], "fill": [0, 0, 0]}]
    steps += [{"step": "normalise", "mean": [0.5] * 3, "std": [0.5] * 3}]
    config = {"format": 1, "run": names, "task": "single", "classes": classes, "synthetic": True}
    config |= {"reads": ["image"], "encoders": {}, "join": "concat", "head": []}
    config |= {"temperature": 1.0, "calibrated": False, "preprocessing": steps}
    (folder / "config.json").write_text(json.dumps(config))
    rows = [{"label": name, "name": name, "train_samples": 1} for name in classes]
    (folder / "labels.json").write_text(json.dumps(rows))
    return folder


def image(side: int, seed: int = 0) -> bytes:
    rng, out = np.random.default_rng(seed), io.BytesIO()
    noise = rng.integers(0, 255, (side // 8, side // 8, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((side, side)).save(out, "PNG")
    return out.getvalue()


class Server:
    """`histopair serve` and its address."""

    def __init__(self, folder: Path):
        command = [sys.executable, str(ROOT / "workflow" / "commands"), "serve", str(folder)]
        start = time.perf_counter()
        self.process = subprocess.Popen(
            [*command, "--port", "0"], stdout=subprocess.PIPE, text=True, cwd=folder
        )
        lines = [self.process.stdout.readline() for _ in range(2)]
        self.url = re.search(r"http://\S+", lines[1])[0]
        self.get("/api/models")
        self.cold = time.perf_counter() - start
        self.about = psutil.Process(self.process.pid)

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=600) as answer:
            return answer.read()

    def post(self, path: str, fields: dict[str, str], content: bytes | None = None) -> dict:
        """The JSON of an answer, also of a refusal."""
        mark, parts = uuid.uuid4().hex, []
        for name, value in fields.items():
            head = f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
            parts.append(f"{head}{value}\r\n".encode())
        if content is not None:
            head = f'--{mark}\r\nContent-Disposition: form-data; name="image"; filename="a.png"'
            parts += [f"{head}\r\n\r\n".encode(), content, b"\r\n"]
        body = b"".join([*parts, f"--{mark}--\r\n".encode()])
        headers = {"Content-Type": f"multipart/form-data; boundary={mark}"}
        request = urllib.request.Request(self.url + path, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as refused:
            return json.loads(refused.read())

    @property
    def cpu(self) -> float:
        times = self.about.cpu_times()
        return times.user + times.system

    @property
    def memory(self) -> float:
        """MB that the process has, without what it shares with files."""
        return self.about.memory_full_info().uss / 2**20


@contextmanager
def running(folder: Path):
    server = Server(folder)
    try:
        yield server
    finally:
        server.process.terminate()
        server.process.wait()


def answer_times(server: Server, name: str, fields: dict, content: bytes | None = None) -> None:
    walls, start = [], server.cpu
    for _ in range(ASKED):
        began = time.perf_counter()
        assert len(server.post("/api/predict", fields, content)["findings"]) == CLASSES
        walls.append(time.perf_counter() - began)
    cpu = (server.cpu - start) / ASKED
    print(f"{name:34s} {statistics.median(walls):7.3f} s, {cpu:.3f} CPU s")


def remember(server: Server, requests: int) -> None:
    """Memory every tenth of the requests."""
    for number in range(1, requests + 1):
        content = b"<script>" if number % 100 == 0 else image(64, number)
        server.post("/api/images" if number % 2 else "/api/predict", {}, content)
        if number % max(1, requests // 10) == 0:
            print(f"memory after {number:5d} requests {server.memory:17.1f} MB", flush=True)


def main() -> None:
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as place, running(exported(Path(place))) as server:
        print(f"{'cold start':34s} {server.cold:7.3f} s, {server.cpu:.3f} CPU s")
        content = image(1024)
        answer_times(server, "answer, image sent", {}, content)
        image_id = server.post("/api/images", {}, content)["image_id"]
        answer_times(server, "answer, image held", {"image_id": image_id})
        print(f"memory after {2 * ASKED:5d} requests {server.memory:17.1f} MB", flush=True)
        remember(server, requests)


if __name__ == "__main__":
    main()
