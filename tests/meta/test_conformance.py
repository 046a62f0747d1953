"""Every estimator is right or refuses, for the models that people train."""

import re

import pytest
import torch

from tests.meta.zoo.conformance import ESTIMATORS, PAGE, PRECISIONS, outcome
from tests.meta.zoo.registry import ZOO

_SLOW = ("resnet101", "densenet121", "efficientnet_b0_dropping", "mobilenet_v3_small")
"""Whose like is there already: tried in float64 alone, and by auto."""
_NOT_UNDER_AUTOCAST = ("mixture_of_experts", "quantisation_aware")
"""Which torch itself cannot evaluate there."""


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        (name, precision)
        for name in ZOO
        for precision in PRECISIONS
        if not (name in _SLOW and precision != "float64")
        and not (name in _NOT_UNDER_AUTOCAST and "autocast" in precision)
    ],
)
def test_auto_is_exact_for_every_model(name: str, precision: str) -> None:
    entry = ZOO[name]
    if name == "lstm" and "autocast" in precision and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("oneDNN has no bfloat16 LSTM for this processor")
    if entry.ragged:
        assert "differ in their number of rows" in outcome(entry, "auto", precision)
        return
    assert outcome(entry, "auto", precision) == "exact"


@pytest.mark.parametrize("estimator", ESTIMATORS[1:])
@pytest.mark.parametrize("name", [name for name in ZOO if name not in _SLOW])
def test_the_page_says_what_each_estimator_makes_of_each_model(name: str, estimator: str) -> None:
    found = outcome(ZOO[name], estimator, "float64")
    kind = found if found == "exact" else "approximate" if found.endswith("%") else "refused"
    row = re.search(rf"^\| {name} \|(.*)\|$", PAGE.read_text(), re.MULTILINE)
    assert row is not None, "write the page again: python -m tests.meta.zoo.conformance"
    cell = row[1].split("|")[ESTIMATORS.index(estimator)].strip()
    assert kind == ("approximate" if cell.endswith("%") else cell)
