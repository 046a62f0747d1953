"""Measure how well each kind of evidence finds wrong labels, beside cleanlab's confident learning.

Every trial trains on half of the rows, so that over the seeds nearly all have predictions of models that did
not train on them. cleanlab gets the same out-of-sample probabilities, averaged over the same models, and is
judged on the same labels: those with such predictions. Errors are the same at every seed.

    uv run --group benchmarks python benchmarks/wrong_labels.py [--news noisy_agnews_train.parquet]
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import compress
from typing import Any

import numpy as np
import torch
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

from l2rw_ray.config import parse_study
from l2rw_ray.data import load_source, make_splits
from l2rw_ray.events import Verdict
from l2rw_ray.orchestration.workers.examples import record_of
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.report.suspects.label_evidence import LabelEvidence, combine
from l2rw_ray.report.suspects.quality import FRACTIONS, precisions, ranking_qualities
from l2rw_ray.results.examples import ExampleRecord
from l2rw_ray.statistics.detection import auroc
from l2rw_ray.training import TrainingOptions, train_trial

METHODS = ("uniform", "l2rw", "meta_weight_net", "finetune_meta", "msp_filter")
_DIGITS = {
    "data": {"source": "noisy_sources:digits", "train_size": 850, "meta_per_class": 10},
    "model": {"name": "mlp"},
    "optim": {"name": "sgd", "lr": 0.02, "momentum": 0.9, "epochs": 20, "batch_size": 50},
}
_NEWS = {
    "data": {"source": "noisy_sources:news", "train_size": 5000, "meta_per_class": 20},
    "model": {"name": "mlp"},
    "optim": {"name": "sgd", "lr": 0.02, "momentum": 0.9, "epochs": 12, "batch_size": 100},
}


def cases(news: str | None) -> dict[str, dict[str, Any]]:
    """Return the `trial` section of each case, without its method."""
    found = {
        f"digits, {kind}": {**_DIGITS, "data": {**_DIGITS["data"], "options": {"kind": kind}}}
        for kind in ("uniform", "class_conditional")
    }
    if news:
        found["NoisyAG-News"] = {**_NEWS, "data": {**_NEWS["data"], "options": {"path": news}}}
    return found


def records_of(trial: dict[str, Any], method: str, seeds: int) -> list[ExampleRecord]:
    """Train one method at every seed. Returns the evidence of each trial."""
    tree = {
        "name": "wrong-labels",
        "question": "Which labels are wrong?",
        "trial": {**trial, "method": {"name": method}, "measurement": {"probe_rounds": 0}},
        "design": {"kind": "grid", "factors": {"method.name": [method]}},
        "seeds": seeds,
    }
    found: list[ExampleRecord] = []
    planned = plan_study(parse_study(tree))
    source = load_source(planned[0].config.data)
    for each in planned:
        splits = make_splits(source, each.config.data, each.seed, with_untrained=True)
        options = TrainingOptions(keep_examples=lambda examples: found.append(record_of(examples)))
        train_trial(each, splits, lambda event: Verdict.CONTINUE, options)
    return found


def out_of_sample(evidence: LabelEvidence) -> LabelEvidence:
    """Return the evidence on the labels that a model predicted out of sample."""
    which = evidence.out_of_sample > 0
    arrays = {name: value[which] for name, value in vars(evidence).items() if isinstance(value, np.ndarray)}
    means = {name: values[which] for name, values in evidence.means.items()}
    ids = tuple(compress(evidence.ids, which))
    return replace(evidence, **arrays, means=means, ids=ids, images={}, texts={})


def mean_probabilities(evidence: LabelEvidence, records: list[ExampleRecord]) -> np.ndarray:
    """Return the mean out-of-sample probability of every class, float [L, C]."""
    totals_NC = np.zeros((max(record.row.max() for record in records) + 1, len(evidence.class_names)))
    models_N = np.zeros(len(totals_NC))
    for record in records:
        new = ~record.is_trained
        np.add.at(totals_NC, (record.row[new][:, None], record.classes[new]), record.probabilities[new])
        models_N[record.row[new]] += 1
    return totals_NC[evidence.row] / models_N[evidence.row][:, None]


def judged(name: str, suspicion_L: np.ndarray, is_wrong_L: np.ndarray) -> dict[str, Any]:
    """Return AUROC and precisions of one ranking."""
    return {"ranked by": name, "auroc": auroc(suspicion_L, is_wrong_L)} | {
        f"precision at {fraction:.0%}": value
        for fraction, value in precisions(suspicion_L, is_wrong_L).items()
    }


def rows(case: str, method: str, records: list[ExampleRecord]) -> Iterator[dict[str, Any]]:
    """Yield how well each ranking finds the wrong labels, ours and cleanlab's."""
    evidence = out_of_sample(combine(records))
    is_wrong = evidence.is_wrong == 1
    base = {"case": case, "method": method, "labels": len(evidence), "wrong": float(is_wrong.mean())}
    for quality in ranking_qualities(evidence):
        precision = {f"precision at {fraction:.0%}": quality.precision[fraction] for fraction in FRACTIONS}
        yield {**base, "ranked by": quality.kind.value, "auroc": quality.auroc, **precision}
    probabilities = mean_probabilities(evidence, records)
    for score in ("self_confidence", "normalized_margin"):
        found = get_label_quality_scores(evidence.given, probabilities, method=score, adjust_pred_probs=True)
        yield {**base, **judged(f"cleanlab, adjusted {score}", -found, is_wrong)}
    quality = get_label_quality_scores(evidence.given, probabilities, method="self_confidence")
    issues = find_label_issues(evidence.given, probabilities, n_jobs=1)
    yield {**base, **judged("cleanlab, issues first", issues + (1 - quality), is_wrong)}


def main() -> None:
    """Print a row per case, method and ranking, as JSON lines."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--news", metavar="FILE", help="NoisyAG-News, its train table")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for case, trial in cases(arguments.news).items():
        for method in arguments.methods:
            for row in rows(case, method, records_of(trial, method, arguments.seeds)):
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
