"""clip-retrieval's inference command: embed_clip_retrieval.py FOLDER OUT MODEL THREADS

Its own loader fetches published weights; here it gets the random ones of our model. What it does
with texts needs packages that image embeddings do not.
"""

import shutil
import sys
from types import SimpleNamespace

import torch
from answering import serve
from plain_clip import loaded

folder, out, name, threads = sys.argv[1:]
model, preprocess = loaded(name)
torch.set_num_threads(int(threads))
sys.modules["all_clip"] = SimpleNamespace(load_clip=lambda **_: (model, preprocess, None))
sys.modules["sentence_transformers"] = SimpleNamespace(SentenceTransformer=None)

from clip_retrieval.clip_inference.main import main


def run() -> None:
    shutil.rmtree(out, ignore_errors=True)
    main(
        folder,
        out,
        clip_model=name,
        batch_size=64,
        num_prepro_workers=int(threads),
        enable_text=False,
        use_jit=False,
    )


serve(run)
