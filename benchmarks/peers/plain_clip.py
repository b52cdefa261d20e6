"""What open_clip's own examples do, a batch at a time: plain_clip.py FOLDER OUT MODEL THREADS"""

import sys
from pathlib import Path

import numpy as np
import open_clip
import torch
from answering import serve
from PIL import Image


def loaded(name: str) -> tuple:
    """A model of that architecture with random weights, and its preprocessing."""
    torch.manual_seed(0)
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    return model.eval(), preprocess


class Files(torch.utils.data.Dataset):
    """The images of a folder, preprocessed."""

    def __init__(self, folder: str, preprocess):
        self.paths, self.preprocess = sorted(Path(folder).glob("*.jpg")), preprocess

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> torch.Tensor:
        return self.preprocess(Image.open(self.paths[row]))


@torch.no_grad()
def embed(model, files: Files, out: str, workers: int) -> None:
    loader = torch.utils.data.DataLoader(files, batch_size=64, num_workers=workers)
    features = [model.encode_image(batch).numpy() for batch in loader]
    np.save(out, np.concatenate(features).astype(np.float16))


if __name__ == "__main__":
    folder, out, name, threads = sys.argv[1:]
    model, preprocess = loaded(name)
    torch.set_num_threads(int(threads))
    files = Files(folder, preprocess)
    serve(lambda: embed(model, files, out, int(threads)))
