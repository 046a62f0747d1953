"""What networks of texts take: a dict of token ids and their mask."""

from l2rw_ray.errors import ConfigError
from l2rw_ray.models.registry import FIELD
from l2rw_ray.trees import Shapes

TEXT_MODELS = ("embedding_bag", "text_cnn", "transformer_encoder")
"""Names of the networks that take texts, and nothing else."""
IDS, MASK = "input_ids", "attention_mask"
"""Keys of a batch: token ids, and 1 for those that are of the text rather than padding, int64 [B, T]."""


def checked_vocabulary(name: str, input_shape: Shapes, vocab_size: int | None) -> int:
    """Check that inputs are texts, and return the number of their tokens.

    Args:
        name: The network's.
        input_shape: Shape of one input.
        vocab_size: Number of tokens; None where the source does not say.

    Raises:
        ConfigError: They are something else.
    """
    if not isinstance(input_shape, dict) or not {IDS, MASK} <= input_shape.keys():
        found = f"a {type(input_shape).__name__}" if not _is_one(input_shape) else f"of shape {input_shape}"
        raise ConfigError(FIELD, name, f"inputs are {found}, it takes texts", "use a table with data.text")
    if vocab_size is None:
        problem = "the source does not say how many tokens there are"
        raise ConfigError(FIELD, name, problem, "use a table with data.text, or a model of your own")
    return vocab_size


def _is_one(shape: Shapes) -> bool:
    return isinstance(shape, tuple) and all(isinstance(size, int) for size in shape)
