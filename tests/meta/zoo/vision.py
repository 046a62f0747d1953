"""Image models of torchvision and timm, and by hand where neither has them small."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.meta.zoo.entry import CLASSES, META_SIZE, TRAIN_SIZE, Case, Entry, classified

SMALL = {"num_classes": CLASSES}
UNDROPPED = {**SMALL, "stochastic_depth_prob": 0.0}


def _resnet(name: str) -> Case:
    from torchvision import models

    # without zero_init_residual gradients grow so much by depth that float32 scores have two digits
    model = models.get_model(name, width_per_group=8, zero_init_residual=True, **SMALL)
    return classified(model, 3, 64, 64)


def _efficientnet_b0(dropout: float = 0.0) -> Case:
    """B0's blocks at a quarter of its width, with the same rate of dropout and of dropped branches."""
    from torchvision.models.efficientnet import EfficientNet, MBConvConfig

    sizes = [  # expansion, kernel, stride, inputs, outputs, layers
        *((1, 3, 1, 32, 16, 1), (6, 3, 2, 16, 24, 2), (6, 5, 2, 24, 40, 2), (6, 3, 2, 40, 80, 3)),
        *((6, 5, 1, 80, 112, 3), (6, 5, 2, 112, 192, 4), (6, 3, 1, 192, 320, 1)),
    ]
    blocks = [MBConvConfig(*size, width_mult=0.25, depth_mult=1.0) for size in sizes]
    return classified(EfficientNet(blocks, dropout, stochastic_depth_prob=dropout, **SMALL), 3, 64, 64)


def _mobilenet_v3_small() -> Case:
    from torchvision.models import mobilenet_v3_small

    return classified(mobilenet_v3_small(dropout=0.0, **SMALL), 3, 64, 64)


def _convnext() -> Case:
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    sizes = [(16, 24, 3), (24, 32, 3), (32, 48, 9), (48, None, 3)]  # as many blocks as convnext_tiny has
    return classified(ConvNeXt([CNBlockConfig(*size) for size in sizes], **UNDROPPED), 3, 64, 64)


def _densenet121() -> Case:
    from torchvision.models import DenseNet

    return classified(DenseNet(8, (6, 12, 24, 16), 16, **SMALL), 3, 64, 64)


def _vit() -> Case:
    from torchvision.models import VisionTransformer

    return classified(VisionTransformer(32, 16, 2, 2, hidden_dim=32, mlp_dim=64, **SMALL), 3, 32, 32)


def _swin(version: int) -> Case:
    from torchvision.models import swin_transformer as swin

    parts = {
        1: {"block": swin.SwinTransformerBlock, "downsample_layer": swin.PatchMerging},
        2: {"block": swin.SwinTransformerBlockV2, "downsample_layer": swin.PatchMergingV2},
    }
    sizes = ([4, 4], 16, [2, 2], [2, 4], [4, 4])  # patch, width, depths, heads, window
    return classified(swin.SwinTransformer(*sizes, **parts[version], **UNDROPPED), 3, 32, 32)


def _timm_vit() -> Case:
    import timm

    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, embed_dim=32, depth=2, num_heads=2, num_classes=CLASSES
    )
    return classified(model, 3, 32, 32)


class _UNet(nn.Module):
    """Two levels with a skip connection; a class per pixel."""

    def __init__(self, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()

        def block(inputs: int, outputs: int) -> nn.Sequential:
            layers = [nn.Conv2d(inputs, outputs, 3, padding=1), norm(outputs), nn.ReLU(inplace=True)]
            return nn.Sequential(*layers)

        self.down, self.bottom = block(3, 8), block(8, 16)
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.out = nn.Sequential(block(16, 8), nn.Conv2d(8, CLASSES, 1))

    def forward(self, x: Tensor) -> Tensor:
        skipped = self.down(x)
        h = self.up(self.bottom(functional.max_pool2d(skipped, 2)))
        return self.out(torch.cat([skipped, h], dim=1))


def _pixel_losses(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    x, y = batch
    return functional.cross_entropy(model(x), y, reduction="none").mean(dim=(1, 2))


def _unet(norm: Callable[[int], nn.Module]) -> Case:
    train, meta = (
        (torch.randn(size, 3, 16, 16), torch.randint(CLASSES, (size, 16, 16)))
        for size in (TRAIN_SIZE, META_SIZE)
    )
    return Case(_UNet(norm), _pixel_losses, train, meta)


class _ScaledBlocks(nn.Module):
    """Patches behind a class token, through residual blocks with learned scales (CaiT, DeiT III)."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, stride=8)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.positions = nn.Parameter(0.1 * torch.randn(1, 17, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.scales = nn.ParameterList(nn.Parameter(torch.full((width,), 1e-4)) for _ in range(2))
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patches(x).flatten(2).transpose(1, 2)
        h = torch.cat([self.token.expand(len(x), -1, -1), patches], dim=1) + self.positions
        normed = self.norms[0](h)
        h = h + self.scales[0] * self.attention(normed, normed, normed, need_weights=False)[0]
        h = h + self.scales[1] * self.mlp(self.norms[1](h))
        return self.head(h[:, 0])


def _group_norm_convnet() -> Case:
    layers = [
        *(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.ReLU(inplace=True)),
        *(nn.Conv2d(8, 16, 3, stride=2, groups=2), nn.GroupNorm(4, 16), nn.SiLU()),
    ]
    return classified(
        nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, CLASSES)), 3, 16, 16
    )


ENTRIES = {
    "resnet50": Entry(partial(_resnet, "resnet50"), coupled=True),
    "resnet101": Entry(partial(_resnet, "resnet101"), coupled=True),
    "efficientnet_b0": Entry(_efficientnet_b0, coupled=True),
    "efficientnet_b0_dropping": Entry(partial(_efficientnet_b0, 0.2), coupled=True, random=True),
    "mobilenet_v3_small": Entry(_mobilenet_v3_small, coupled=True),
    "convnext_tiny": Entry(_convnext),
    "densenet121": Entry(_densenet121, coupled=True),
    "vit_b_16": Entry(_vit),
    "swin_t": Entry(partial(_swin, 1)),
    "swin_v2_t": Entry(partial(_swin, 2)),
    "timm_vit_tiny": Entry(_timm_vit),
    "unet_batch_norm": Entry(partial(_unet, nn.BatchNorm2d), coupled=True),
    "unet_group_norm": Entry(partial(_unet, partial(nn.GroupNorm, 4))),
    "class_token_and_layer_scale": Entry(lambda: classified(_ScaledBlocks(), 3, 32, 32)),
    "group_norm_convnet": Entry(_group_norm_convnet),
}
