from histopair.export.predictor import CrossPredictor, loaded, text_encoder
from histopair.training import heads


def predictor(run, weights) -> CrossPredictor:
    image = run.encoder()
    text = text_encoder(run, image)
    width = image.image_dim + text.text_dim
    head = heads.mlp(width, len(run.classes), run.method["layers"])
    asks = {
        "image": image.image_dim,
        "text": text.text_dim,
        "patches": _token_width(weights, "text"),
        "words": _token_width(weights, "image"),
        "attention_heads": run.method["attention_heads"],
    }
    join = {"unfreeze": run.method["unfreeze"], "asks": asks}
    model = CrossPredictor(head, image, text, join)
    loaded(model.crossed[0], weights)
    return model


def _token_width(weights, asking: str) -> int:
    """Of the tokens that a modality asks: torch keeps one matrix where both widths are equal."""
    attention = f"asks.{asking}.attention"
    keys = weights.get(f"{attention}.k_proj_weight", weights.get(f"{attention}.in_proj_weight"))
    if keys is None:
        raise ValueError(f"no weights of {attention}")
    return keys.shape[1]
