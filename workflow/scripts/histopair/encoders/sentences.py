"""What the files of sentence-transformers say of a text tower: its pooling, and how much it reads.

transformers does not read them, and a first token that nobody trained is a vector like any other.
"""

from pathlib import Path

from histopair.encoders.weights import Refusal, described

POOLING, LENGTH = "1_Pooling/config.json", "sentence_bert_config.json"
MODE = "pooling_mode_"
POOLINGS = {"cls_token": "cls", "cls": "cls", "mean_tokens": "mean", "mean": "mean"}


def with_length(entry: dict, folder: Path) -> dict:
    """The entry of a text tower, with the length that the model in `folder` states, if any."""
    stated = described(folder / LENGTH).get("max_seq_length")
    return {"max_length": stated} | entry if stated else entry


def require_pooling(entry: dict, folder: Path) -> None:
    """Raise Refusal if the entry names no pooling and the model has another than the default."""
    modes = _modes(described(folder / POOLING))
    ours = [POOLINGS.get(mode) for mode in modes]
    if modes and ours != ["cls"] and "pooling" not in entry:
        named = len(ours) == 1 and ours[0]
        remedy = f"Set `pooling: {named}`" if named else "Set the `pooling` that you want instead"
        raise Refusal(f"its {POOLING} pools by {' and '.join(modes)}, and not by cls", remedy)


def _modes(config: dict) -> list[str]:
    """The poolings of a config, whose vectors the model joins."""
    named = config.get("pooling_mode") or []
    named = [named] if isinstance(named, str) else list(named)
    chosen = (key for key in config if key.startswith(MODE) and config[key])
    return named or [key.removeprefix(MODE) for key in chosen]
