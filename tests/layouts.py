"""Narrow, random encoders in the files of the real ones: names of files, of keys, of containers.

Each maker writes a folder and gives the keys that a config sets to read it, and a reference: what
the library itself computes. Sizes are cut; layers, arguments and names are those of the cards.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import tiny
import torch
from torch import nn

NARROW = {"embed_dim": 48, "depth": 2, "num_heads": 3}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "tumour", "normal", "colon", "no", "of", "a"]


@dataclass
class Made:
    """What reads the files (`keys`), and what they should give: images, and texts if there are."""

    keys: dict
    image: Callable | None = None
    text: Callable | None = None
    about: dict = field(default_factory=dict)


def random(model: nn.Module) -> nn.Module:
    """Weights that all matter: libraries start many at zero, such as LayerScale's."""
    torch.manual_seed(0)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.add_(torch.randn_like(tensor) * 0.1)
        for name, tensor in model.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                tensor.add_(torch.rand_like(tensor) * 0.2)
    return model.eval()


# timm ---------------------------------------------------------------------------------------------


def silu() -> dict:
    import timm

    return {"mlp_layer": timm.layers.SwiGLUPacked, "act_layer": nn.SiLU}


def timm_model(architecture: str, sizes: dict = NARROW, **arguments) -> nn.Module:
    import timm

    return random(timm.create_model(architecture, num_classes=0, **arguments | sizes))


def in_timm_folder(folder: Path, model: nn.Module, architecture: str, said: dict, file: str):
    """A repository in timm's layout, whose config.json has timm's defaults and `said`."""
    defaults = {"crop_pct": 0.9, "interpolation": "bicubic", "fixed_input_size": True}
    defaults |= {"mean": [0.5] * 3, "std": [0.5] * 3, "classifier": "head"}
    defaults |= {"input_size": [3, 224, 224], "first_conv": "patch_embed.proj", "num_classes": 0}
    pretrained = defaults | said.get("pretrained_cfg", {})
    config = {"architecture": architecture, "num_classes": 0, "pretrained_cfg": pretrained}
    config["model_args"] = said.get("model_args", {})
    (folder / "config.json").write_text(json.dumps(config))
    save(folder / file, model.state_dict())


def save(file: Path, state: dict) -> None:
    from safetensors.torch import save_file

    if file.suffix == ".safetensors":
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, file)
    else:
        torch.save(state, file)


def repository(
    architecture: str,
    said: dict | None = None,
    file: str = "model.safetensors",
    sizes: dict = NARROW,
    pooling: Callable | None = None,
    swiglu: bool = False,
    **arguments,
) -> Callable[[Path], Made]:
    """A maker of timm's layout. `arguments` are the card's, `said` is in config.json."""

    def make(folder: Path) -> Made:
        of_config = (said or {}).get("model_args", {})
        layers = silu() if swiglu else {}
        model = timm_model(architecture, sizes, **of_config | layers | arguments)
        in_timm_folder(folder, model, architecture, said or {}, file)
        keys = {"model": f"local-dir:{folder}", "kwargs": sizes}
        return Made(keys, lambda pixels: (pooling or (lambda x: x))(model(pixels)))

    make.architecture, make.said = architecture, (said or {}).get("model_args", {})
    return make


def bare(
    architecture: str,
    named: Callable[[dict], object],
    file: str,
    sizes: dict = NARROW,
    swiglu: bool = False,
    **arguments,
) -> Callable[[Path], Made]:
    """A maker of a single file of weights, whose content is `named` of the state dict."""

    def make(folder: Path) -> Made:
        layers = silu() if swiglu else {}
        model = timm_model(architecture, sizes, **layers | arguments)
        save(folder / file, named(model.state_dict()))
        return Made({"weights": str(folder / file), "kwargs": sizes}, model)

    make.architecture, make.said = architecture, {}
    return make


def of_dinov2(state: dict, swiglu: bool = True) -> dict:
    """DINOv2's own names: https://github.com/facebookresearch/dinov2, vision_transformer.py."""
    named = {}
    for key, tensor in state.items():
        key = key.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3") if swiglu else key
        named[key] = tensor
    width = state["cls_token"].shape[-1]
    if "reg_token" in named:
        place = torch.full((1, 1, width), 0.3)
        named["register_tokens"] = named.pop("reg_token")
        named["cls_token"] = named["cls_token"] - place
        named["pos_embed"] = torch.cat([place, named["pos_embed"]], dim=1)
    return named | {"mask_token": torch.zeros(1, width)}


def in_chunks(state: dict) -> dict:
    """Blocks as DINOv2 with `block_chunks` names them: `blocks.CHUNK.BLOCK.`."""
    chunked = re.compile(r"^blocks\.(\d+)\.")
    return {chunked.sub(r"blocks.\1.\1.", key): tensor for key, tensor in state.items()}


def under(prefix: str, state: dict) -> dict:
    return {f"{prefix}{key}": tensor for key, tensor in state.items()}


def beside_head(prefix: str, head: str) -> Callable[[dict], dict]:
    """{teacher: the tower and a projection head}, with another student."""

    def named(state: dict) -> dict:
        teacher = under(prefix, state) | {f"{head}.mlp.0.weight": torch.zeros(2, 2)}
        student = {key: tensor + 1 for key, tensor in teacher.items()}
        return {"student": student, "teacher": teacher, "epoch": 3}

    return named


def cls_and_mean(prefix: int) -> Callable:
    return lambda tokens: torch.cat([tokens[:, 0], tokens[:, prefix:].mean(1)], dim=1)


# transformers -------------------------------------------------------------------------------------


def of_images(name: str, pool: Callable, edit: Callable = dict, **sizes) -> Callable[[Path], Made]:
    """A maker of a folder of an image model; `edit` changes its config.json."""

    def make(folder: Path) -> Made:
        import transformers

        config = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
        config |= {"intermediate_size": 64} | sizes
        model = random(getattr(transformers, f"{name}Model")(_config(name, config)))
        model.save_pretrained(folder)
        content = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(edit(content)))
        return Made(
            {"model": str(folder)},
            lambda pixels: pool(model(pixel_values=pixels).last_hidden_state),
        )

    return make


def _config(name: str, config: dict):
    import transformers

    return getattr(transformers, f"{name}Config")(**config)


def with_own_code(config: dict) -> dict:
    """As Hibou's: the type of another class, code of its own, and no number of registers."""
    code = {"AutoModel": "modeling_dinov2.Dinov2ModelWithRegisters"}
    config = {key: value for key, value in config.items() if key != "num_register_tokens"}
    return config | {"model_type": "dinov2", "auto_map": code}


TOWER = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
TOWER |= {"intermediate_size": 64}


def plip(folder: Path) -> Made:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    words = clip_words(folder)
    text = TOWER | {"vocab_size": len(words), "max_position_embeddings": 77, "eos_token_id": 2}
    vision = TOWER | {"image_size": 224, "patch_size": 32}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
    model = random(CLIPModel(config))
    config.save_pretrained(folder)
    positions = {"text_model.embeddings.position_ids": torch.arange(77)[None]}
    torch.save(model.state_dict() | positions, folder / "pytorch_model.bin")
    processor(CLIPImageProcessor(), folder)
    tokenizer = _saved_tokenizer(folder)

    def texts(texts: list[str]) -> torch.Tensor:
        tokens = tokenizer(texts, padding=True, return_tensors="pt")
        return _vectors(model.get_text_features(**tokens))

    return Made({"model": str(folder)}, lambda x: _vectors(model.get_image_features(x)), texts)


def medsiglip(folder: Path) -> Made:
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel

    tokenizer = word_tokenizer(folder, "</s>")
    text = TOWER | {"vocab_size": len(tokenizer), "max_position_embeddings": 64}
    text |= {"projection_size": 32}
    vision = TOWER | {"image_size": 448, "patch_size": 64}
    model = random(SiglipModel(SiglipConfig(text_config=text, vision_config=vision)))
    model.save_pretrained(folder)
    processor(SiglipImageProcessor(size={"height": 448, "width": 448}), folder)

    def texts(texts: list[str]) -> torch.Tensor:
        filled = {"padding": "max_length", "max_length": 64, "truncation": True}
        tokens = tokenizer(texts, return_tensors="pt", **filled)["input_ids"]
        return _vectors(model.get_text_features(tokens))

    return Made({"model": str(folder)}, lambda x: _vectors(model.get_image_features(x)), texts)


def _vectors(output) -> torch.Tensor:
    return output if isinstance(output, torch.Tensor) else output.pooler_output


def _saved_tokenizer(folder: Path):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def processor(whole, folder: Path) -> None:
    """preprocessor_config.json, as repositories have it."""
    content = json.loads(whole.to_json_string())
    (folder / "preprocessor_config.json").write_text(json.dumps(content))


def clip_words(folder: Path) -> dict:
    """A vocabulary of letters for CLIP's word pieces; its end of text has the highest id."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = [*letters, *(f"{letter}</w>" for letter in letters)]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: place for place, piece in enumerate(pieces)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    about = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77}
    for role, token in (("bos", 0), ("eos", 1), ("pad", 1), ("unk", 1)):
        about[f"{role}_token"] = ("<|startoftext|>", "<|endoftext|>")[token]
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    return vocabulary


def word_tokenizer(folder: Path, end: str):
    """A tokenizer of whole words that puts `end` after each text, in one tokenizer.json."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = {word: place for place, word in enumerate(["<pad>", "<unk>", end, *WORDS[5:]])}
    library = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    library.pre_tokenizer = pre_tokenizers.Whitespace()
    library.post_processor = processors.TemplateProcessing(f"$A {end}", None, [(end, words[end])])
    special = {"pad_token": "<pad>", "unk_token": "<unk>", "eos_token": end}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=library, model_max_length=64, **special)
    tokenizer.save_pretrained(folder)
    return tokenizer


def of_texts(folder: Path) -> Made:
    entry = tiny.bert_entry(folder, "cls", layers=2)
    from transformers import BertModel

    model, tokenizer = BertModel.from_pretrained(folder).eval(), _saved_tokenizer(folder)

    def texts(texts: list[str]) -> torch.Tensor:
        tokens = tokenizer(texts, padding=True, return_tensors="pt")
        return model(**tokens).last_hidden_state[:, 0]

    return Made({"model": entry["model"]}, None, texts)


def keep(folder: Path) -> Made:
    import timm
    from transformers import BertConfig, BertModel

    tiny.bert_entry(folder)
    sizes = {"img_size": 224, "patch_size": 16, "init_values": 1e-5}
    visual = timm.create_model("vit_large_patch16_224", num_classes=0, **sizes | NARROW)
    text = {**TOWER, "vocab_size": 9, "max_position_embeddings": 512}
    whole = nn.ModuleDict({"visual": visual, "text": BertModel(BertConfig(**text))})
    whole["visual_head"] = nn.Sequential(nn.Linear(48, 32), nn.GELU(), nn.Linear(32, 32))
    random(whole)
    renamed = re.compile(r"\.(ls[12])\.gamma$")
    state = {renamed.sub(r".\1.weight", key): t for key, t in whole.state_dict().items()}
    save(folder / "model.safetensors", state | {"logit_scale": torch.tensor(3.2)})
    vision = sizes | NARROW | {"num_classes": 0}
    config = {"vision_config": vision, "text_config": text, "projection_dim": 32}
    config |= {"model_type": "keep", "auto_map": {"AutoModel": "modeling_keep.KEEPModel"}}
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = _bert_words(folder)

    def texts(texts: list[str]) -> torch.Tensor:
        filled = {"padding": "max_length", "max_length": 256, "truncation": True}
        return whole["text"](**tokenizer(texts, return_tensors="pt", **filled)).pooler_output

    return Made({"model": str(folder)}, lambda x: whole["visual_head"](visual(x)), texts)


def _bert_words(folder: Path):
    from transformers import BertTokenizer

    return BertTokenizer.from_pretrained(folder)


# open_clip ----------------------------------------------------------------------------------------

CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 224, "layers": 2, "width": 32, "head_width": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}
PREPROCESS = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
}


def in_clip_folder(folder: Path, model: nn.Module, config: dict, own: bool) -> dict:
    """open_clip_config.json and open_clip_pytorch_model.bin; `own` has OpenAI's flat names."""
    content = {"model_cfg": config, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    state = model.state_dict()
    flat = {key.removeprefix("text."): tensor for key, tensor in state.items()}
    torch.save(flat if own else state, folder / "open_clip_pytorch_model.bin")
    return {"model": f"local-dir:{folder}"}


def quiltnet(patch: int) -> Callable[[Path], Made]:
    def make(folder: Path) -> Made:
        import open_clip

        config = CLIP | {"vision_cfg": CLIP["vision_cfg"] | {"patch_size": patch}}
        model = random(open_clip.CLIP(**config))
        keys = in_clip_folder(folder, model, config, own=True)
        words = open_clip.tokenizer.SimpleTokenizer()
        return Made(keys, model.encode_image, lambda texts: model.encode_text(words(texts)))

    return make


def with_bert(context: int) -> Callable[[Path], Made]:
    """A timm image tower and a BERT whose config and words are in a second repository."""

    def make(folder: Path) -> Made:
        import open_clip

        second = folder / "second"
        tiny.bert_entry(second, layers=2)
        (second / "model.safetensors").unlink()
        text = {"hf_tokenizer_name": "x/y", "hf_proj_type": "mlp", "context_length": context}
        text |= {"hf_pooler_type": "cls_last_hidden_state_pooler", "hf_model_name": "x/y"}
        vision = {"timm_model_name": "vit_tiny_patch16_224", "timm_model_pretrained": False}
        vision |= {"timm_pool": "", "timm_proj": "linear", "image_size": 224}
        config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}
        here = text | {"hf_model_name": str(second), "hf_model_pretrained": False}
        model = random(open_clip.CustomTextCLIP(**config | {"text_cfg": here}))
        keys = in_clip_folder(folder, model, config, own=False)
        words = open_clip.tokenizer.HFTokenizer(str(second), context_length=24)
        return Made(
            keys | {"text_model": {"model": str(second)}},
            model.encode_image,
            lambda texts: model.encode_text(words(texts)),
        )

    return make


def built_in(name: str) -> Callable[[Path], Made]:
    """A model that open_clip has by name, with fewer and narrower blocks and a file of weights."""

    def make(folder: Path) -> Made:
        import open_clip

        config = open_clip.get_model_config(name)
        config["embed_dim"] = 192
        sizes = {"width": 24, "layers": 2, "heads": 2}
        config["text_cfg"] |= sizes
        if "timm_model_name" in config["vision_cfg"]:
            config["vision_cfg"]["timm_model_name"] = "vit_tiny_patch16_224"
        else:
            config["vision_cfg"] |= {"width": 32, "layers": 2, "head_width": 16}
        if "hf_tokenizer_name" in config["text_cfg"]:
            word_tokenizer(folder, "</s>")
            config["text_cfg"] |= {"hf_tokenizer_name": str(folder), "vocab_size": 32}
        class_ = open_clip.CustomTextCLIP if config.pop("custom_text", False) else open_clip.CLIP
        model = random(class_(**config))
        file = folder / "weights.pt"
        torch.save(model.state_dict(), file)
        config["custom_text"] = class_ is open_clip.CustomTextCLIP
        return Made({"pretrained": str(file)}, model.encode_image, None, {name: config})

    return make
