"""Token ids of texts of different lengths, and their batches.

Shape suffixes: N texts, B batch, T longest of a batch, K some texts.
"""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from l2rw_ray.data.row_store import RowStore

IDS, MASK = "input_ids", "attention_mask"
"""Keys of a batch: token ids, and which of them are of the text rather than padding."""


@dataclass(frozen=True)
class TokenRows(RowStore):
    """Token ids of texts, one text after another.

    Attributes:
        ids: Of all texts, int32.
        starts_N: Where each begins, int64 [N].
        lengths_N: Tokens of each, at least 1, integers [N].
        whole_N: Tokens of each before it was cut, integers [N].
        max_length: Most tokens of any.
        pad_id: What fills up shorter texts of a batch.
    """

    ids: Tensor
    starts_N: Tensor
    lengths_N: Tensor
    whole_N: Tensor
    max_length: int
    pad_id: int = 0

    def __len__(self) -> int:
        return len(self.starts_N)

    @property
    def shape(self) -> dict[str, tuple[int]]:
        """Shape of the longest text possible, of ids and mask."""
        return dict.fromkeys((IDS, MASK), (self.max_length,))

    def take(self, rows_K: Tensor) -> dict[str, Tensor]:
        """Return a batch of `input_ids` and `attention_mask`, int64 [B, T], the mask 1 for tokens.

        Args:
            rows_K: Texts, int64 [B]; T is the length of the longest, 1 where there are none.
        """
        starts_B, lengths_B = self.starts_N[rows_K], self.lengths_N[rows_K]
        longest = int(lengths_B.max()) if len(rows_K) else 1
        place_T = torch.arange(longest, device=self.ids.device)
        mask_BT = place_T < lengths_B[:, None]
        where_BT = torch.where(mask_BT, starts_B[:, None] + place_T, 0)
        ids_BT = self.ids[where_BT].long().masked_fill_(~mask_BT, self.pad_id)
        return {IDS: ids_BT, MASK: mask_BT.long()}

    def select(self, rows_K: Tensor) -> Self:
        """Return a store of some texts that shares the ids."""
        chosen = {name: getattr(self, name)[rows_K] for name in ("starts_N", "lengths_N", "whole_N")}
        return replace(self, **chosen)

    def to(self, device: torch.device) -> Self:
        """Return the store on a device."""
        names = ("ids", "starts_N", "lengths_N", "whole_N")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})
