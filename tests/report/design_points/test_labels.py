"""Levels of factors read as words."""

import pytest

from l2rw_ray.config.planned_trial import trial_label
from l2rw_ray.report.design_points.labels import factor_name, level_text


@pytest.mark.parametrize(
    ("path", "level", "text"),
    [
        ("data.noise.rate", 0.4, "40\N{NO-BREAK SPACE}%"),
        ("data.meta_noise.rate", 0.05, "5\N{NO-BREAK SPACE}%"),
        ("data.bias.imbalance_factor", 100, "100"),
        ("data.noise", '{"kind": "pair", "rate": 0.4}', "pair, rate 40\N{NO-BREAK SPACE}%"),
        ("data.meta_bias", '{"imbalance_factor": 10, "kind": "long_tail"}', "long_tail, imbalance_factor 10"),
        ("data.noise", '{"kind": "none"}', "none"),
        ("optim.schedule", '{"name": "cosine", "warmup": 2}', "cosine, warmup 2"),
        ("variant", "{no section", "{no section"),
        (
            "optim.groups",
            '[{"match": "head.*", "lr_factor": 10.0}, {"match": "*.bias", "frozen": true}]',
            "[match head.*, lr_factor 10; match *.bias, frozen yes]",
        ),
        ("optim", '{"name": "adam", "schedule": {"milestones": [2, 4]}}', "adam, schedule milestones [2, 4]"),
        ("variant", "3", "3"),
    ],
)
def test_level_in_a_report(path: str, level: object, text: str) -> None:
    assert level_text(path, level) == text


def test_protocols_have_names() -> None:
    for path in ("bias", "bias.imbalance_factor", "noise.kind", "meta_noise.rate", "meta_bias.level"):
        assert factor_name(f"data.{path}") != f"data.{path}"


def test_level_in_a_trials_name() -> None:
    factors = {
        "data.noise": {"kind": "pair", "rate": 0.4},
        "data.bias.imbalance_factor": 100,
        "data.bias.kind": "long_tail",
    }
    label = "l2rw · noise pair (rate 0.4) · imbalance_factor 100 · bias long_tail · seed 3"
    assert trial_label("l2rw", factors, "seed 3") == label
