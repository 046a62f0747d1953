"""Join batches of texts that are padded to different lengths.

Shape suffixes: B batch, T longest text of a batch.
"""

import torch
from torch import Tensor
from torch.nn import functional

TextBatch = tuple[dict[str, Tensor], Tensor]
"""A dict of `input_ids` and `attention_mask`, int64 [B, T], and answers [B]."""


def joined_texts(train: TextBatch, meta: TextBatch) -> TextBatch:
    """Join a train and a meta batch, the train rows first, the shorter one padded to the longer.

    Padding is 0 in ids and mask alike; the mask keeps models from it.
    """
    (x, y), (meta_x, meta_y) = train, meta
    return {name: _stacked(x[name], meta_x[name]) for name in x}, torch.cat((y, meta_y))


def _stacked(first_BT: Tensor, second_BT: Tensor) -> Tensor:
    longest = max(first_BT.shape[1], second_BT.shape[1])
    parts = (functional.pad(part, (0, longest - part.shape[1])) for part in (first_BT, second_BT))
    return torch.cat(tuple(parts))
