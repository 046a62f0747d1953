"""A study in Python, fully typed: `make check` runs mypy on it."""

from l2rw_ray import Grid, Study, StudyResults
from l2rw_ray.config import Objective, Resources


def noise_study(rates: list[float]) -> Study:
    """Return a study of methods at several shares of wrong labels."""
    return Study(
        name="how-much-noise",
        question="Up to what share of wrong labels does reweighting help?",
        trial={
            "data": {"source": "digits", "train_size": 400, "validation_size": 200},
            "model": {"name": "mlp"},
            "method": {"name": "l2rw"},
            "optim": {"name": "sgd", "lr": 0.01, "momentum": 0.9, "epochs": 40},
        },
        design=Grid(
            factors={
                "data.noise": [{"kind": "uniform", "rate": rate} for rate in rates],
                "method.name": ["uniform", "random", "l2rw"],
            }
        ),
        seeds=range(5),
        resources=Resources(workers=1),
        objective=Objective(metric="validation_accuracy"),
    )


def gain(results: StudyResults) -> float | None:
    """Return the gain of reweighting over plain training; None where it is not clear."""
    found = results.compare("l2rw", "uniform")
    return found.difference if found.is_clear else None


if __name__ == "__main__":
    print(gain(noise_study([0.2, 0.4]).run()))
