import numpy as np
import pytest

from l2rw_ray.report.suspects.label_evidence import combine
from l2rw_ray.report.suspects.mean_probabilities import mean_probabilities
from l2rw_ray.results.examples import EVIDENCE, ExampleRecord


def trial(rows: dict[int, tuple[int, bool, list[float]]], **changes) -> ExampleRecord:
    """A trial's evidence from class as given, whether it was trained on and probabilities, by row."""
    probabilities = np.array([each[2] for each in rows.values()], dtype=np.float32)
    classes = np.argsort(-probabilities, axis=1)
    trained = np.array([each[1] for each in rows.values()])
    loss = np.where(trained, np.arange(len(rows)), np.nan).astype(np.float32)
    fields = {
        "class_names": ("a", "b", "c"),
        "ids": tuple(f"row {row}" for row in rows),
        "row": np.array(list(rows)),
        "given": np.array([each[0] for each in rows.values()], dtype=np.int32),
        "target": np.full(len(rows), np.nan, dtype=np.float32),
        "is_wrong": np.where(trained, 0, -1).astype(np.int8),
        "is_trained": trained,
        "evidence": dict.fromkeys(EVIDENCE, loss),
        "classes": classes.astype(np.int16),
        "probabilities": np.take_along_axis(probabilities, classes, axis=1),
        "predicted": np.full(len(rows), np.nan, dtype=np.float32),
    }
    return ExampleRecord(**(fields | changes))


def test_predictions_are_out_of_sample_where_there_are_such_models():
    first = trial({7: (0, True, [0.9, 0.1, 0]), 3: (1, True, [0.2, 0.5, 0.3])})
    second = trial({3: (1, True, [0.0, 0.7, 0.3]), 7: (0, False, [0.1, 0.3, 0.6])})
    found = combine([first, second])
    assert found.ids == ("row 3", "row 7")
    assert found.trained.tolist() == [2, 1]
    assert found.out_of_sample.tolist() == [0, 1]
    np.testing.assert_allclose(found.given_probability, [0.6, 0.1], rtol=1e-6)
    assert found.preferred.tolist() == [1, 2]
    np.testing.assert_allclose(found.other_probability, [0.3, 0.6], rtol=1e-6)
    assert found.means["loss"].tolist() == [0.5, 0.0], "of the models that trained on it"
    assert found.contradicted.tolist() == [False, True]


def test_a_row_that_simulated_noise_labels_anew_at_each_seed_is_several_labels():
    first = trial({5: (0, True, [0.8, 0.1, 0.1])}, is_wrong=np.array([1], dtype=np.int8))
    second = trial({5: (2, True, [0.2, 0.1, 0.7])})
    found = combine([first, second])
    assert found.given.tolist() == [0, 2]
    assert found.is_wrong.tolist() == [1, 0]
    assert found.out_of_sample.tolist() == [0, 0], "a model that saw another label of the row saw the row"
    np.testing.assert_allclose(found.given_probability, [0.8, 0.7], rtol=1e-6)


def test_rows_that_no_model_trained_on_are_no_suspects():
    found = combine([trial({1: (0, True, [1.0, 0, 0]), 2: (1, False, [1.0, 0, 0])})])
    assert found.ids == ("row 1",)


def test_thumbnails_come_from_any_trial():
    rows = {1: (0, True, [1.0, 0, 0]), 2: (1, True, [1.0, 0, 0])}
    found = combine(
        [trial(rows, images={0: b"one"}), trial(dict(reversed(rows.items())), images={0: b"two"})]
    )
    assert found.images == {0: b"one", 1: b"two"}


def test_targets_are_compared_with_the_mean_prediction():
    none = np.empty((2, 0))
    changes = {"classes": none.astype(np.int16), "probabilities": none.astype(np.float32)}
    rows = {1: (0, True, [1.0]), 2: (0, True, [1.0])}
    first, second = (
        trial(rows, **changes, target=np.array([1.5, 2.5], np.float32), predicted=np.array(each, np.float32))
        for each in ([1, 2], [3, 4])
    )
    found = combine([first, second])
    assert found.is_regression
    assert found.target.tolist() == [1.5, 2.5]
    assert found.predicted.tolist() == [2, 3]
    assert not found.contradicted.any()


@pytest.mark.parametrize("kept", [3, 6])
def test_means_of_kept_classes_are_those_of_all_where_all_are_kept(kept):
    rng, models, labels = np.random.default_rng(0), 4, 50
    full = rng.dirichlet(np.ones(6), (models, labels))
    order = np.argsort(-full, axis=2)[:, :, :kept]
    values = np.take_along_axis(full, order, axis=2)
    given = rng.integers(0, 6, labels)
    found = mean_probabilities(
        np.concatenate(order, axis=1), np.concatenate(values, axis=1), np.full(labels, models), given
    )
    sparse = np.zeros((models, labels, 6))
    np.put_along_axis(sparse, order, values, axis=2)
    mean = sparse.mean(axis=0)
    np.testing.assert_allclose(found.given, mean[np.arange(labels), given])
    np.testing.assert_array_equal(found.preferred, mean.argmax(axis=1))
    np.testing.assert_allclose(found.preferred_probability, mean.max(axis=1))
    mean[np.arange(labels), given] = 0
    np.testing.assert_allclose(found.other, mean.max(axis=1))
