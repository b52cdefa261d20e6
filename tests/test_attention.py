"""Rewritten attention: torch's outputs, gradients, weights and names; one line for others."""

import copy

import onnxruntime
import pytest
import tiny
import torch
from safetensors.torch import load_file
from torch import nn

from histopair import encoders
from histopair.encoders.plain_attention import Attention, rewritten
from histopair.errors import InputError

HEADS, WIDTH, ASKED, READ, N = 4, 16, 5, 7, 3
KINDS = {
    "packed": {},
    "without bias": {"bias": False},
    "other keys and values": {"kdim": 12, "vdim": 20},
    "other keys, without bias": {"kdim": 12, "bias": False},
    "learnt keys": {"add_bias_kv": True},
    "zero keys": {"add_zero_attn": True},
    "learnt and zero keys of another width": {
        "add_bias_kv": True,
        "add_zero_attn": True,
        "kdim": 12,
        "vdim": 20,
    },
}


def made(kind: dict, **more) -> tuple[nn.Module, Attention]:
    """torch's module in float64, and the same rewritten."""
    torch.manual_seed(0)
    source = nn.MultiheadAttention(WIDTH, HEADS, **kind, **more).double()
    for parameter in source.parameters():
        nn.init.normal_(parameter, std=0.3)
    return source, rewritten(nn.ModuleDict({"attn": copy.deepcopy(source)}))["attn"]


def inputs(source, batch_first: bool, single: bool = False) -> list[torch.Tensor]:
    widths, lengths = (source.embed_dim, source.kdim, source.vdim), (ASKED, READ, READ)
    if single:
        shapes = [(length, width) for length, width in zip(lengths, widths, strict=True)]
    else:
        shapes = [
            (N, length, width) if batch_first else (length, N, width)
            for length, width in zip(lengths, widths, strict=True)
        ]
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


def masks(single: bool = False) -> dict[str, dict]:
    shown = torch.rand(ASKED, READ) < 0.3
    shown[:, 0] = False
    padded = torch.zeros(N, READ, dtype=torch.bool)
    padded[1, 5:] = padded[2, 2:] = True
    each = (torch.rand(N * HEADS, ASKED, READ) < 0.3) & (torch.arange(READ) > 0)
    number = torch.randn(ASKED, READ, dtype=torch.float64)
    found = {
        "none": {},
        "boolean": {"attn_mask": shown},
        "numbers": {"attn_mask": number},
        "of each head": {"attn_mask": each[:HEADS] if single else each},
        "padding": {"key_padding_mask": padded[1] if single else padded},
    }
    found["both"] = found["boolean"] | found["padding"]
    found["numbers and padding"] = {
        "attn_mask": number,
        "key_padding_mask": torch.randn(READ if single else (N, READ), dtype=torch.float64),
    }
    return found


def same(ours, theirs) -> None:
    assert (ours is None) == (theirs is None)
    if ours is not None:
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("mask", masks())
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_weights_and_gradients_are_torchs(kind, mask, batch_first):
    source, ours = made(KINDS[kind], batch_first=batch_first)
    given, arguments = inputs(source, batch_first), masks()[mask]
    for call in ({"need_weights": False}, {}, {"average_attn_weights": False}):
        found = [module(*given, **arguments, **call) for module in (ours, source)]
        for mine, theirs in zip(*found, strict=True):
            same(mine, theirs)
    gradients = [torch.autograd.grad(output.square().sum(), given) for output, _ in found]
    for mine, theirs in zip(*gradients, strict=True):
        same(mine, theirs)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("mask", masks())
def test_texts_without_a_batch_and_attention_to_oneself(mask, batch_first):
    source, ours = made({}, batch_first=batch_first)
    given, arguments = inputs(source, batch_first, single=True), masks(single=True)[mask]
    for call in ({"need_weights": False}, {}, {"average_attn_weights": False}):
        for mine, theirs in zip(
            *(m(*given, **arguments, **call) for m in (ours, source)), strict=True
        ):
            same(mine, theirs)
    x = torch.randn(N, 6, WIDTH, dtype=torch.float64)
    for module in (ours, source):
        module.eval()
    with torch.no_grad():  # where torch computes it in one piece
        for mine, theirs in zip(ours(x, x, x), source(x, x, x), strict=True):
            same(mine, theirs)


@pytest.mark.parametrize("need_weights", [True, False])
def test_dropout_is_of_the_weights_in_training_alone(need_weights):
    source, ours = made({}, dropout=0.5, batch_first=True)
    x = torch.randn(2000, 3, WIDTH, dtype=torch.float64)[:1].expand(2000, -1, -1)
    with torch.no_grad():
        drawn = [m.train()(x, x, x, need_weights=need_weights)[0] for m in (ours, source)]
        error = (2 / len(x)) ** 0.5 * drawn[1].std(0)
        assert ((drawn[0].mean(0) - drawn[1].mean(0)).abs() < 5 * error).all()
        torch.testing.assert_close(drawn[0].std(0), drawn[1].std(0), rtol=0.15, atol=1e-3)
        same(*(m.eval()(x[:2], x[:2], x[:2], need_weights=need_weights)[0] for m in (ours, source)))


def test_a_causal_hint_needs_its_mask():
    source, ours = made({}, batch_first=True)
    x = torch.randn(N, 6, WIDTH, dtype=torch.float64)
    mask = torch.ones(6, 6, dtype=torch.bool).triu(1)
    call = {"attn_mask": mask, "is_causal": True, "need_weights": False}
    same(ours(x, x, x, **call)[0], source(x, x, x, **call)[0])
    with pytest.raises(ValueError, match="there is none"):
        ours(x, x, x, is_causal=True)


@pytest.mark.parametrize("kind", KINDS)
def test_state_dicts_go_both_ways_under_torchs_names(kind):
    source, ours = made(KINDS[kind])
    assert set(ours.state_dict()) == set(source.state_dict())
    for name, tensor in ours.state_dict().items():
        assert torch.equal(tensor, source.state_dict()[name])
    other, again = made(KINDS[kind])
    for module in (other, again):
        for parameter in module.parameters():
            nn.init.normal_(parameter)
    again.load_state_dict(source.state_dict())
    other.load_state_dict(ours.state_dict())
    for module in (other, again):
        for name, tensor in module.state_dict().items():
            assert torch.equal(tensor, source.state_dict()[name]), name


def test_a_state_dict_by_our_own_names_loads_and_what_is_missing_or_strange_is_told():
    _, ours = made({})
    own = {name: tensor + 1 for name, tensor in ours.named_parameters()}
    ours.load_state_dict(own)
    assert all(torch.equal(tensor, own[name]) for name, tensor in ours.named_parameters())
    found = ours.load_state_dict(
        {"in_proj_bias": own["in_proj.bias"], "odd": own["in_proj.bias"]}, strict=False
    )
    assert found.unexpected_keys == ["odd"]
    assert set(found.missing_keys) == set(own) - {"in_proj.bias"}


def test_parameters_are_the_very_same_and_frozen_as_before():
    source = nn.MultiheadAttention(WIDTH, HEADS)
    source.in_proj_weight.requires_grad_(False)
    ours = rewritten(nn.Sequential(source))[0]
    assert ours.in_proj.weight is source.in_proj_weight
    assert not ours.in_proj.weight.requires_grad and ours.out_proj.weight.requires_grad


def test_a_module_in_two_places_stays_one():
    attention = nn.MultiheadAttention(WIDTH, HEADS)
    tower = rewritten(nn.Sequential(attention, nn.Sequential(attention)))
    assert tower[0] is tower[1][0] and type(tower[0]) is Attention


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("padded", [True, False])
def test_torchs_own_encoder_keeps_its_outputs_in_training_and_evaluation(batch_first, padded):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 32, 0.0, batch_first=batch_first)
    source = nn.TransformerEncoder(layer, 2, enable_nested_tensor=batch_first).double()
    ours = rewritten(copy.deepcopy(source))
    padding = torch.zeros(N, 6, dtype=torch.bool)
    padding[1, 4:] = padded
    x = torch.randn(N, 6, WIDTH, dtype=torch.float64)
    x = x if batch_first else x.transpose(0, 1)
    for mode in (True, False):
        with torch.set_grad_enabled(mode):
            found = [
                m.train(mode)(x, src_key_padding_mask=padding if padded else None)
                for m in (ours, source)
            ]
        read = ~padding if batch_first else ~padding.T
        same(*(output[read] for output in found))
    assert not any(isinstance(m, nn.MultiheadAttention) for m in ours.modules())


def test_attention_of_another_kind_is_one_line():
    class Odd(nn.MultiheadAttention):
        def forward(self, x):
            return x

    with pytest.raises(InputError, match=r"encoder x: its kind of attention is not known.*Odd"):
        rewritten(nn.Sequential(Odd(WIDTH, HEADS)), "x")
    normed = nn.MultiheadAttention(WIDTH, HEADS)
    nn.utils.parametrizations.weight_norm(normed.out_proj)
    with pytest.raises(InputError, match="kind of attention is not known here"):
        rewritten(nn.Sequential(normed))


def test_loaded_towers_have_the_files_weights_and_none_of_torchs_attention(tmp_path):
    entry = tiny.clip_entry(tmp_path / "clip")
    file = load_file(tmp_path / "clip" / "open_clip_model.safetensors")
    for weights in (True, False):
        encoder = encoders.load(entry, weights)
        for kind, prefix in (("image", "visual."), ("text", "text.")):
            tower = getattr(encoder, kind)
            state = tower.state_dict()
            assert set(state) == {n.removeprefix(prefix) for n in file if n.startswith(prefix)}
            assert any(isinstance(m, Attention) for m in tower.modules())
            assert not any(isinstance(m, nn.MultiheadAttention) for m in tower.modules())
            tower.load_state_dict(
                {n.removeprefix(prefix): t for n, t in file.items() if n.startswith(prefix)}
            )
            if weights:
                assert all(torch.equal(t, file[prefix + name]) for name, t in state.items())


def test_towers_compute_what_open_clips_own_do(tmp_path):
    import open_clip

    entry = tiny.clip_entry(tmp_path / "clip", layers=2)
    encoder = encoders.load(entry)
    model, _ = open_clip.create_model_from_pretrained(entry["model"], force_custom_text=True)
    pixels, tokens = torch.randn(2, 3, 32, 32), encoder.tokenize(["a tumour", "colon"])
    torch.testing.assert_close(encoder.image(pixels), model.visual(pixels), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(encoder.text(tokens), model.text(tokens), atol=1e-6, rtol=1e-6)


def test_onnx_has_the_same_numbers(tmp_path):
    _, ours = made({}, batch_first=True)

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.attn = ours.float()

        def forward(self, x):
            return self.attn(x, x, x, need_weights=False)[0]

    model = Own().eval()
    x = torch.randn(4, 6, WIDTH)
    batch = ({0: torch.export.Dim("batch")},)
    program = torch.onnx.export(model, (x[:2],), dynamic_shapes=batch, dynamo=True, verbose=False)
    program.save(str(tmp_path / "x.onnx"))
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx")
    found = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    torch.testing.assert_close(torch.from_numpy(found), model(x), atol=1e-6, rtol=1e-5)
