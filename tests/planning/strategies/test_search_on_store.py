"""A search whose folder is on an S3 of our own, cut off on one machine and taken up on another."""

import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.results.opening import open_study_folder
from l2rw_ray.results.reader import trial_results
from tests.object_store import BUCKET, object_store
from tests.planning.playing import play
from tests.planning.strategies.test_search import SEARCH


@pytest.fixture(scope="module", autouse=True)
def _store():
    with object_store():
        yield


def test_a_search_goes_on_elsewhere_with_all_that_was_finished(study_tree, tmp_path, monkeypatch):
    spec = parse_study(study_tree | {"design": SEARCH, "seeds": 1})
    address = f"s3://{BUCKET}/{tmp_path.name}/search"
    ran = []
    for machine, trials in (("first", 4), ("second", 2), ("third", 1000)):
        monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path / machine))
        with open_study_folder(address) as folder:
            folder.create()
            with folder.lock():
                assert trial_results(folder.path).keys() == {trial.trial_id for trial in ran}
                ran += play(spec, folder, groups=2, trials=trials)
    assert len(ran) == len({trial.trial_id for trial in ran}) == 8, "none twice, none beyond the budget"
