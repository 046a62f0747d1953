"""The mean of a text's token vectors, and a linear layer.

Shape suffixes: B batch, T longest text of it, E length of a token's vector.
"""

from torch import Tensor, nn

from l2rw_ray.models.registry import MODELS
from l2rw_ray.models.text.inputs import IDS, MASK, checked_vocabulary
from l2rw_ray.trees import Shapes


class EmbeddingBag(nn.Module):
    """A linear classifier of averaged token vectors.

    Source: Joulin et al. 2016 (fastText), without n-grams. Deviation: vectors are looked up one by one, since
    torch's own embedding bag has no second derivative, which some estimators need; it is hardly faster.

    Args:
        vocab_size: Number of tokens.
        classes: Outputs.
        width: Length of a token's vector.
        dropout: Share of the mean that training drops.
    """

    def __init__(self, vocab_size: int, classes: int, width: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, classes)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return outputs [B, classes] of token ids and mask, int64 [B, T]."""
        mask_BT1 = inputs[MASK].unsqueeze(2)
        mean_BE = (self.embedding(inputs[IDS]) * mask_BT1).sum(dim=1) / mask_BT1.sum(dim=1)
        output: Tensor = self.output(self.dropout(mean_BE))
        return output


@MODELS.register("embedding_bag")
def embedding_bag(
    input_shape: Shapes, classes: int, vocab_size: int | None = None, width: int = 128, dropout: float = 0.0
) -> nn.Module:
    """Build the mean of token vectors and a linear layer."""
    vocabulary = checked_vocabulary("embedding_bag", input_shape, vocab_size)
    return EmbeddingBag(vocabulary, classes, width, dropout)
