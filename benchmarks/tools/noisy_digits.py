"""The training function of the comparison: a small network on digits, of which some labels are wrong.

It knows none of the tools. Where the environment variable `FINISHED_TRIALS` names a file, each training that
ends adds a line to it, so that `compare_tools.py` sees what was trained without asking the tool.
"""

import os
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

WRONG = 0.3
"""Share of train labels that are drawn at random."""


def train(
    seed: int,
    hidden: int = 64,
    weight_decay: float = 0.0001,
    momentum: float = 0.9,
    batch_size: int = 50,
    epochs: int = 240,
) -> dict[str, float]:
    """Train for about a second on one core.

    Returns:
        Accuracy on 800 digits whose labels are right.
    """
    x, y = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x / 16, y, test_size=800, random_state=seed, stratify=y)
    random = np.random.default_rng(seed)
    y = np.where(random.random(len(y)) < WRONG, random.integers(0, 10, len(y)), y)
    network = MLPClassifier(
        (hidden,),
        solver="sgd",
        alpha=weight_decay,
        momentum=momentum,
        batch_size=batch_size,
        learning_rate_init=0.02,
        max_iter=epochs,
        n_iter_no_change=epochs,
        random_state=seed,
    )
    with threadpool_limits(1), warnings.catch_warnings():  # one core per trial, whichever tool runs it
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(x, y)
    accuracy = float(network.score(x_test, y_test))
    if log := os.environ.get("FINISHED_TRIALS"):
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{hidden}, {weight_decay}, {momentum}, {batch_size}, seed {seed}\n")
    return {"test_accuracy": accuracy}
