"""A scikit-learn fit as a trial: a function of its parameters and the seed that returns its metrics."""

from time import perf_counter

from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import train_test_split


def main(seed: int, learning_rate: float, max_depth: int, max_iter: int) -> dict[str, float]:
    """Fit on 300 digits."""
    x, y = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, test_size=800, random_state=seed, stratify=y)
    x, x_validation, y, y_validation = train_test_split(x, y, train_size=300, random_state=seed, stratify=y)
    model = HistGradientBoostingClassifier(
        learning_rate=learning_rate, max_depth=max_depth, max_iter=max_iter, random_state=seed
    )
    started = perf_counter()
    model.fit(x, y)
    return {
        "fit_time_s": perf_counter() - started,
        "validation_accuracy": model.score(x_validation, y_validation),
        "test_accuracy": model.score(x_test, y_test),
    }
