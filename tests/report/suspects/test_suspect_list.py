from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from l2rw_ray.errors import InputError, StudyFolderError
from l2rw_ray.report.suspects.points import points_with_evidence
from l2rw_ray.report.suspects.quality import ranking_qualities
from l2rw_ray.report.suspects.ranking import EvidenceKind, suspicion
from l2rw_ray.report.suspects.suspect_list import list_suspects
from l2rw_ray.results import StudyFolder
from tests.report.suspects.conftest import LABELS

Write = Callable[..., Path]


def test_the_best_design_point_on_the_validation_set_is_listed(with_evidence: Write) -> None:
    folder = StudyFolder(with_evidence())
    assert [point.name for point in points_with_evidence(folder)] == ["uniform", "l2rw"]
    found = list_suspects(folder)
    assert found.point.name == "l2rw", "which gains eight points"
    assert len(found.point.trial_ids) == 3


def test_wrong_labels_come_first_with_what_the_models_prefer(with_evidence: Write) -> None:
    found = list_suspects(StudyFolder(with_evidence()))
    first = list(found.suspects(10))
    assert all(suspect.is_wrong and suspect.is_contradicted for suspect in first)
    assert [suspect.rank for suspect in first] == list(range(1, 11))
    assert {suspect.preferred for suspect in first} <= {"cat", "<b>dog</b>", "=horse"}
    assert len(list(found.suspects())) == len(found) <= LABELS


@pytest.mark.parametrize("kind", ["combined", "prediction", "loss", "weight"])
def test_each_kind_of_evidence_finds_them(with_evidence: Write, kind: str) -> None:
    found = list_suspects(StudyFolder(with_evidence()), EvidenceKind(kind))
    qualities = {quality.kind: quality for quality in ranking_qualities(found.evidence)}
    assert qualities[EvidenceKind(kind)].auroc > 0.95
    assert qualities[EvidenceKind(kind)].precision[0.1] == 1.0
    assert qualities[EvidenceKind(kind)].wrong == pytest.approx(0.2, abs=0.02)
    assert EvidenceKind.SCORE not in qualities, "no trial has scores"


def test_what_is_known_of_labels_changes_no_ranking(with_evidence: Write) -> None:
    evidence = list_suspects(StudyFolder(with_evidence())).evidence
    before = [suspicion(evidence, kind) for kind in EvidenceKind]
    evidence.is_wrong[:] = 1 - evidence.is_wrong
    for one, other in zip(before, (suspicion(evidence, kind) for kind in EvidenceKind), strict=True):
        np.testing.assert_equal(one, other)


def test_labels_without_a_loss_are_ranked_by_prediction_alone(with_evidence: Write) -> None:
    evidence = list_suspects(StudyFolder(with_evidence())).evidence
    evidence.means["loss"][:] = np.nan
    assert (suspicion(evidence, EvidenceKind.LOSS)) is None
    combined, prediction = (
        suspicion(evidence, kind) for kind in (EvidenceKind.COMBINED, EvidenceKind.PREDICTION)
    )
    assert combined is not None
    assert prediction is not None
    assert (np.argsort(combined) == np.argsort(prediction)).all()


def test_evidence_that_is_the_same_for_all_is_refused(with_evidence: Write) -> None:
    folder = StudyFolder(with_evidence())
    with pytest.raises(InputError, match="--by = 'weight': uniform gives all labels the same"):
        list_suspects(folder, EvidenceKind.WEIGHT, {"method.name": "uniform"})


def test_an_unknown_level_names_the_known_ones(with_evidence: Write) -> None:
    with pytest.raises(InputError, match=r"method\.name=focal.*; use some of method\.name=uniform, method"):
        list_suspects(StudyFolder(with_evidence()), where={"method.name": "focal"})


def test_a_study_without_evidence_says_how_to_get_some(with_evidence: Write) -> None:
    with pytest.raises(StudyFolderError, match=r"kept no evidence on labels; .*keep: \{examples: true\}"):
        list_suspects(StudyFolder(with_evidence(methods=())))
