"""clip-retrieval's inference command: embed_clip_retrieval.py FOLDER OUT MODEL THREADS

Its own loader fetches published weights; here it gets the random ones of our model. Only the
command is imported: the package's front page wants a web server, texts and logs other packages.
"""

import importlib.util
import shutil
import sys
from types import ModuleType, SimpleNamespace

import torch
from answering import serve
from plain_clip import loaded

package = ModuleType("clip_retrieval")
package.__path__ = importlib.util.find_spec("clip_retrieval").submodule_search_locations
sys.modules["clip_retrieval"] = package
ours: list = []  # the model, its preprocessing and no tokenizer
sys.modules["all_clip"] = SimpleNamespace(load_clip=lambda *_, **__: ours)
for name in ("sentence_transformers", "wandb"):
    sys.modules[name] = SimpleNamespace(SentenceTransformer=None)

from clip_retrieval.clip_inference.main import main


def run(folder: str, out: str, name: str, threads: str) -> None:
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


if __name__ == "__main__":  # its log is written by another process, which imports this file
    arguments = sys.argv[1:]
    ours += [*loaded(arguments[2]), None]
    torch.set_num_threads(int(arguments[3]))
    serve(lambda: run(*arguments))
