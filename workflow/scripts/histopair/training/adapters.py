"""peft's adapters of single layers, with W + alpha / rank B A wherever a layer's weight is used.

peft adds B(A(x)) to what a layer gives. Some code never calls the layer and reads its weight (the
fused projections of timm's EVA, BEiT and Swin V2, the attention pool of open_clip's ResNets), and
some layers do more with their weight than multiply (standardised convolutions, padding "same").
There the weight itself is adapted, so that no adapter is bypassed and merging changes nothing.
"""

from peft.tuners import lora
from torch import Tensor, nn
from torch.func import functional_call

ADAPTER = "default"  # peft's name of the only one


class Adapted:
    """The base that we put before peft's own layers; `ran` is whether the layer was ever called."""

    ran = False

    @property
    def weight(self) -> Tensor:
        """W + alpha / rank B A; gradients reach A and B."""
        base = self.get_base_layer().weight
        return base + self.get_delta_weight(ADAPTER).to(base.dtype)

    def __getattr__(self, name: str):
        """What a library reads from the layer itself, such as its kernel's size."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name in ("weight", "base_layer"):
                raise
            return getattr(self.base_layer, name)

    def forward(self, *inputs, **named):
        self.ran = True
        base = self.get_base_layer()
        if _plain(base):
            return super().forward(*inputs, **named)
        return functional_call(base, {"weight": self.weight}, inputs, named)


class Linear(Adapted, lora.Linear):
    pass


class Embedding(Adapted, lora.Embedding):
    pass


class Conv2d(Adapted, lora.Conv2d):
    def update_layer(self, *args, **kwargs) -> None:
        """Make A and B plain convolutions, whatever the class of the layer."""
        super().update_layer(*args, **kwargs)
        for sides in (self.lora_A, self.lora_B):
            side = sides[ADAPTER]
            sizes = side.in_channels, side.out_channels, side.kernel_size
            sides[ADAPTER] = nn.Conv2d(*sizes, side.stride, side.padding, bias=False)
            sides[ADAPTER].weight = side.weight


LAYERS = {nn.Linear: Linear, nn.Embedding: Embedding, nn.Conv2d: Conv2d}


def _plain(layer: nn.Module) -> bool:
    """Whether the layer is linear in its weight, and peft's own forward does all that it does."""
    kind = next(kind for kind in LAYERS if isinstance(layer, kind))
    if type(layer).forward is not kind.forward:
        return False
    if kind is nn.Conv2d:
        return layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    return kind is nn.Linear or layer.max_norm is None
