"""What a report says of the models that were tested."""

from l2rw_ray.report.provenance.what_was_run import _tested_models

ROW = {"epochs": 7}
LAST = {"data": {}, "selection": {"select": "last", "patience": None}}


def test_nothing_is_said_where_all_trained_to_the_end() -> None:
    assert _tested_models([ROW], [{"data": {}}, LAST]) == (), "of earlier versions, too"


def test_choice_and_early_stopping_are_said() -> None:
    best = {"data": {}, "selection": {"select": "best", "metric": "loss", "patience": 3}}
    (_, tested), (_, trained) = _tested_models([ROW, {"epochs": 9}], [LAST, best])
    ended = "training ended after 3 evaluations without a better validation_loss"
    assert tested == f"of the last epoch or of the epoch with the best validation_loss, {ended}"
    assert trained == "7, 9"
