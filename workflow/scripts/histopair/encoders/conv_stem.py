"""The convolutional patch embedding of CTransPath (github.com/Xiyue-Wang/TransPath, ctran.py)."""

from itertools import pairwise

from torch import Tensor, nn


class ConvStem(nn.Module):
    """Images (n, 3, h, w) -> patches of 4 x 4 pixels (n, h / 4, w / 4, embed_dim).

    Two convolutions of stride 2 with batch norm and ReLU, then one of 1 x 1. A timm Swin takes it
    as `embed_layer`. Raises ValueError for another patch size.
    """

    def __init__(
        self,
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 4,
        in_chans: int = 3,
        embed_dim: int = 96,
        norm_layer: type[nn.Module] | None = None,
        **_,
    ):
        super().__init__()
        if patch_size != 4:
            raise ValueError(f"a ConvStem has patches of 4 pixels, and not of {patch_size}")
        self.img_size = (img_size, img_size) if isinstance(img_size, int) else tuple(img_size)
        self.grid_size = tuple(side // 4 for side in self.img_size)
        self.num_patches = self.grid_size[0] * self.grid_size[1]
        widths = [in_chans, embed_dim // 8, embed_dim // 4]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            convolution = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        self.proj = nn.Sequential(*layers, nn.Conv2d(widths[-1], embed_dim, 1))
        self.norm = norm_layer(embed_dim) if norm_layer else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.proj(images).permute(0, 2, 3, 1))
