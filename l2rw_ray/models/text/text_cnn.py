"""Convolutions over the tokens of a text.

Shape suffixes: B batch, T longest text of it, E length of a token's vector, C channels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from l2rw_ray.models.registry import MODELS
from l2rw_ray.models.text.inputs import IDS, MASK, checked_vocabulary
from l2rw_ray.trees import Shapes


class TextCnn(nn.Module):
    """Convolutions of several sizes, the largest value of each channel over a text, and a linear layer.

    Source: Kim 2014, CNN-rand; he drops half of the features (`dropout: 0.5`). A convolution has a value for
    each token of a text, which looks at it and those after it; behind the last one are zeros.

    Args:
        vocab_size: Number of tokens.
        classes: Outputs.
        width: Length of a token's vector.
        kernel_sizes: Tokens that a convolution looks at, for each of them.
        channels: Channels of each convolution.
        dropout: Share of the features that training drops.
    """

    def __init__(
        self,
        vocab_size: int,
        classes: int,
        width: int,
        kernel_sizes: Sequence[int],
        channels: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        self._sizes = tuple(kernel_sizes)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, channels, size) for size in kernel_sizes)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(channels * len(kernel_sizes), classes)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return outputs [B, classes] of token ids and mask, int64 [B, T]."""
        mask_B1T = inputs[MASK].bool().unsqueeze(1)
        x_BET = self.embedding(inputs[IDS]).transpose(1, 2) * mask_B1T
        found = []
        for size, convolution in zip(self._sizes, self.convolutions, strict=True):
            values_BCT = functional.relu(convolution(functional.pad(x_BET, (0, size - 1))))
            found.append((values_BCT * mask_B1T).amax(dim=2))  # at least 0, as rectified values are
        output: Tensor = self.output(self.dropout(torch.cat(found, dim=1)))
        return output


@MODELS.register("text_cnn")
def text_cnn(
    input_shape: Shapes,
    classes: int,
    vocab_size: int | None = None,
    width: int = 128,
    kernel_sizes: Sequence[int] = (3, 4, 5),
    channels: int = 100,
    dropout: float = 0.0,
) -> nn.Module:
    """Build convolutions over tokens."""
    vocabulary = checked_vocabulary("text_cnn", input_shape, vocab_size)
    return TextCnn(vocabulary, classes, width, kernel_sizes, channels, dropout)
