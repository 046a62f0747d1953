"""What is measured on the validation and the test set."""

from torch import Tensor


def true_class_probability(outputs_NC: Tensor, targets_N: Tensor) -> float:
    """Mean probability that the network gives to the right class: between 0 and 1, higher is better.

    Args:
        outputs_NC: Logits of all examples of the set, on the CPU.
        targets_N: Their clean labels.
    """
    probabilities_NC = outputs_NC.softmax(dim=1)
    return probabilities_NC.gather(1, targets_N.unsqueeze(1)).mean().item()
