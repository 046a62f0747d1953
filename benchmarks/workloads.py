"""Models whose training steps are timed, with their losses and two batches of random data.

Shape suffixes: B train batch, M meta batch, T positions.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from l2rw_ray.models import build_model

Batch = dict[str, Tensor]
Losses = Callable[[nn.Module, Any], Tensor]
"""Maps (model, batch) to one loss per example, [B]."""
_CLASSES = 10


@dataclass(frozen=True)
class Workload:
    """A model in train mode, with what it is trained on.

    Attributes:
        model: Fresh weights, seed 0.
        losses: Maps (model, batch) to one loss per example.
        train: B examples.
        meta: M examples in the same form.
        is_random: Whether its forward draws random numbers.
    """

    model: nn.Module
    losses: Losses
    train: Any
    meta: Any
    is_random: bool = False

    @property
    def trained(self) -> dict[str, nn.Parameter]:
        """Trainable parameters by name."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}


class RMSNorm(nn.Module):
    """Scale by the root mean square, as in models that write their own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [..., width]."""
        return x * (x.square().mean(dim=-1, keepdim=True) + 1e-6).rsqrt() * self.weight


class Block(nn.Module):
    """Causal attention and a feed-forward network, each behind a normalisation."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_mlp = RMSNorm(width), RMSNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, T, width] to the same."""
        parts = self.qkv(self.before_attention(x)).chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        return x + self.down(functional.gelu(self.up(self.before_mlp(x))))


class Decoder(nn.Module):
    """A language model with a table of positions and an output head that is its table of words."""

    def __init__(self, words: int, width: int, depth: int, length: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.positions = nn.Parameter(0.02 * torch.randn(length, width))
        self.blocks = nn.ModuleList(Block(width, width // 64 or 1) for _ in range(depth))
        self.norm, self.head = RMSNorm(width), nn.Linear(width, words, bias=False)
        nn.init.normal_(self.words.weight, std=0.02)
        self.head.weight = self.words.weight

    def forward(self, index_BT: Tensor) -> Tensor:
        """Return logits [B, T, words]."""
        x = self.words(index_BT) + self.positions[: index_BT.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x))
        return logits


def next_word_losses(model: nn.Module, batch: Batch) -> Tensor:
    """Compute the mean loss of each sequence's words but the first."""
    found = model(batch["input_ids"])
    logits = (found if isinstance(found, Tensor) else found.logits)[:, :-1]
    return functional.cross_entropy(logits.mT, batch["input_ids"][:, 1:], reduction="none").mean(dim=1)


def class_loss(found: Any, labels: Tensor) -> Tensor:
    """Compute the loss of each example's label from the model's output."""
    logits = found if isinstance(found, Tensor) else found.logits
    return functional.cross_entropy(logits, labels, reduction="none")


def class_losses(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Compute the loss of each example's label."""
    return class_loss(model(batch[0]), batch[1])


def _texts(model: nn.Module, sizes: tuple[int, int], words: int, length: int) -> Workload:
    train, meta = ({"input_ids": torch.randint(words, (size, length))} for size in sizes)
    return Workload(model.train(), next_word_losses, train, meta)


def _images(model: nn.Module, sizes: tuple[int, int], side: int) -> Workload:
    train, meta = ((torch.randn(size, 3, side, side), torch.randint(_CLASSES, (size,))) for size in sizes)
    return Workload(model.train(), class_losses, train, meta)


def causal_lm(sizes: tuple[int, int], words: int, width: int, depth: int, length: int) -> Workload:
    """Decoder written by hand."""
    return _texts(Decoder(words, width, depth, length), sizes, words, length)


def gpt2(sizes: tuple[int, int], words: int, width: int, depth: int, length: int) -> Workload:
    """GPT-2 of Hugging Face, without dropout."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=words,
        n_embd=width,
        n_layer=depth,
        n_head=width // 64 or 1,
        bos_token_id=1,
        eos_token_id=1,
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0),
    )
    return _texts(GPT2LMHeadModel(config), sizes, words, length)


def llama_lora(sizes: tuple[int, int], words: int, width: int, depth: int, length: int) -> Workload:
    """Llama of Hugging Face, frozen, with adapters of rank 8 on queries and values."""
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=words,
        hidden_size=width,
        intermediate_size=8 * math.ceil(width / 3),
        num_hidden_layers=depth,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=length,
    )
    adapters = LoraConfig(r=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    with warnings.catch_warnings():  # peft asks transformers by an old name
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        model = get_peft_model(LlamaForCausalLM(config), adapters)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # zeros, behind which nothing can be compared
            nn.init.normal_(parameter, std=0.02)
    return _texts(model, sizes, words, length)


def bert(sizes: tuple[int, int], words: int, width: int, depth: int, length: int, dropout: float) -> Workload:
    """Classifier on BERT of Hugging Face; at a width of 256 and a depth of 4 it is BERT-mini."""
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=width // 64 or 1,
        intermediate_size=4 * width,
        num_labels=_CLASSES,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    model = BertForSequenceClassification(config).train()
    train, meta = ((torch.randint(words, (size, length)), torch.randint(_CLASSES, (size,))) for size in sizes)
    return Workload(model, class_losses, train, meta, is_random=dropout > 0)


def vit(sizes: tuple[int, int], side: int, patch: int, width: int, depth: int) -> Workload:
    """Vision transformer of torchvision."""
    from torchvision.models import VisionTransformer

    heads = width // 64 or 1
    model = VisionTransformer(side, patch, depth, heads, width, 4 * width, num_classes=_CLASSES)
    nn.init.normal_(model.heads.head.weight, std=0.02)  # zeros, behind which nothing can be compared
    return _images(model, sizes, side)


def small_images(sizes: tuple[int, int], name: str) -> Workload:
    """One of the networks of `l2rw_ray.models` on images of 32×32."""
    return _images(build_model(name, (3, 32, 32), _CLASSES), sizes, 32)


def efficientnet_frozen(sizes: tuple[int, int], side: int) -> Workload:
    """EfficientNet-Lite0 of timm, channels last; BatchNorm keeps its statistics and trains the rest."""
    import timm

    model = timm.create_model("tf_efficientnet_lite0", num_classes=_CLASSES)
    work = _images(model.to(memory_format=torch.channels_last), sizes, side)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()
    train, meta = ((x.to(memory_format=torch.channels_last), y) for x, y in (work.train, work.meta))
    return Workload(model, work.losses, train, meta)


_TEXT = {"words": 2000, "width": 256, "depth": 4, "length": 128}
_BERT = {**_TEXT, "words": 30_522}
_TINY = {"sizes": (4, 2)}
_TINY_TEXT = {**_TINY, "words": 50, "width": 32, "depth": 2, "length": 12}
_TINY_IMAGES = {**_TINY, "side": 16, "patch": 8, "width": 32, "depth": 2}

WORKLOADS: dict[str, tuple[Callable[..., Workload], dict[str, Any], dict[str, Any]]] = {
    "causal_lm": (causal_lm, {"sizes": (16, 2), **_TEXT}, _TINY_TEXT),
    "vit": (vit, {"sizes": (64, 8), "side": 32, "patch": 4, "width": 192, "depth": 6}, _TINY_IMAGES),
    "bert": (bert, {"sizes": (16, 2), **_BERT, "dropout": 0.0}, _TINY_TEXT),
    "bert_dropout": (bert, {"sizes": (16, 2), **_BERT, "dropout": 0.1}, _TINY_TEXT),
    "llama_lora": (llama_lora, {"sizes": (16, 2), **_TEXT}, _TINY_TEXT),
    **{
        name: (small_images, {"sizes": (100, 10), "name": name}, _TINY)
        for name in ("resnet20_gn", "resnet20_bn", "lenet")
    },
    "efficientnet_frozen": (efficientnet_frozen, {"sizes": (50, 21), "side": 112}, {**_TINY, "side": 32}),
    "resnet32_bn": (small_images, {"sizes": (128, 16), "name": "resnet32_bn"}, _TINY),
    "wrn28_10": (small_images, {"sizes": (128, 16), "name": "wrn28_10"}, _TINY),
    "vit_s16": (vit, {"sizes": (64, 8), "side": 224, "patch": 16, "width": 384, "depth": 12}, _TINY_IMAGES),
    "gpt2": (
        gpt2,
        {"sizes": (8, 2), "words": 50_257, "width": 768, "depth": 12, "length": 512},
        _TINY_TEXT,
    ),
}
"""Builder, its sizes, and what is smaller where nothing but the code is tried."""

PRESETS = {
    "cpu": (
        *("causal_lm", "vit", "bert", "bert_dropout", "llama_lora", "resnet20_gn", "resnet20_bn", "lenet"),
        "efficientnet_frozen",
    ),
    "gpu": ("resnet32_bn", "wrn28_10", "vit_s16", "gpt2"),
}
"""Models by the machine that they are for."""


def workload(name: str, device: torch.device, *, is_tiny: bool = False) -> Workload:
    """Build a model and draw its batches, the same each time.

    Args:
        name: A key of `WORKLOADS`.
        device: Where it goes.
        is_tiny: Whether sizes are a smoke test's.
    """
    build, sizes, tiny = WORKLOADS[name]
    torch.manual_seed(0)
    made = build(**{**sizes, **tiny} if is_tiny else sizes)
    train, meta = (_moved(batch, device) for batch in (made.train, made.meta))
    return Workload(made.model.to(device), made.losses, train, meta, made.is_random)


def _moved(batch: Any, device: torch.device) -> Any:
    return torch.utils._pytree.tree_map(lambda part: part.to(device), batch)
