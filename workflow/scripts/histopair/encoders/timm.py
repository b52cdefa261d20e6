"""Image backbones of timm: by name, `hf-hub:` or `local-dir:`, with weights by name or by file."""

from pathlib import Path

from histopair.encoders import Encoder
from histopair.errors import InputError


def load(entry: dict, weights: bool = True) -> Encoder:
    """A pooled-feature backbone with its own input size, mean and standard deviation.

    `weights` (optional) is a local state dict, .safetensors or .pth; `kwargs` go to timm
    (UNI needs init_values and dynamic_img_size). Raises InputError where that file is absent.
    """
    import timm

    kwargs = dict(entry.get("kwargs", {}))
    file = entry.get("weights")
    if file and not Path(file).is_file():
        problem = f"there is no file {str(file)!r}"
        raise InputError(f"encoder {entry['name']}", problem, "Correct `weights` in the config")
    if file:
        # A whole checkpoint of the architecture, classifier included; features come after pooling.
        model = timm.create_model(entry["model"], checkpoint_path=str(file), **kwargs)
        model.reset_classifier(0)
    else:
        model = timm.create_model(entry["model"], pretrained=weights, num_classes=0, **kwargs)
    data = timm.data.resolve_model_data_config(model)
    data |= {key: tuple(entry[key]) for key in ("mean", "std") if key in entry}
    return Encoder(
        name=entry["name"],
        image=model,
        preprocess=timm.data.create_transform(**data, is_training=False),
        image_dim=model.num_features,
    )
