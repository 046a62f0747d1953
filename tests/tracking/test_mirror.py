"""What passes of the mirror leave out and make up for, and several studies in one store."""

import logging
import sqlite3
import threading
from pathlib import Path

import pytest
import torch

from l2rw_ray.cli.ui import describe_pages, mirror_studies
from l2rw_ray.config import parse_study
from l2rw_ray.config.data.text import TokenizerOptions
from l2rw_ray.data.text.encoder import TextEncoder
from l2rw_ray.data.text.tokenizer import train_tokenizer
from l2rw_ray.errors import StudyFolderError, TrackingError
from l2rw_ray.events import EpochCompleted, StepSeries, TrialEnded, TrialStarted, TrialStatus
from l2rw_ray.models import build_model
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.writer import LedgerWriter
from l2rw_ray.tracking import background_mirror as mirror_thread
from l2rw_ray.tracking.background_mirror import Mirror
from l2rw_ray.tracking.mirror import mirror_folder
from l2rw_ray.training import SavedModel, load_model, save_model
from tests.conftest import STUDY


@pytest.fixture
def make_folder(study_tree, tmp_path):
    """Makes a study of two trials that are done."""

    def make(name: str, study: str = "small", **changes) -> StudyFolder:
        spec = parse_study({**study_tree, "name": study, "seeds": 1, **changes})
        planned, folder = plan_study(spec), StudyFolder(tmp_path / name)
        folder.create()
        folder.write_plan(spec, planned)
        ledger = LedgerWriter(folder, {trial.trial_id: trial for trial in planned}, {}, None)
        for trial in planned:
            ledger(TrialStarted(trial.trial_id, 1, 1, "cpu", "CPU", 60, 2, {}, {}))
            series = StepSeries((3,), (0.5,), (None,))
            ledger(EpochCompleted(trial.trial_id, 1, 3, 0.5, {"train_loss": 0.5}, series=series))
            ledger(
                TrialEnded(trial.trial_id, TrialStatus.COMPLETED, 1, 3, 1.0, {"test_balanced_accuracy": 0.5})
            )
        return folder

    return make


def names_in(store: Path) -> list[str]:
    rows = sqlite3.connect(store).execute("select name from runs where lifecycle_stage = 'active'")
    return sorted(name for (name,) in rows)


def status_of(store: Path, run: str) -> str:
    ((status,),) = sqlite3.connect(store).execute("select status from runs where name = ?", (run,))
    return str(status)


TRIALS = ["l2rw · seed 0", "small", "uniform · seed 0"]
SUMMARIES = ["l2rw", "uniform"]


def test_files_and_summaries_wait_for_a_pass_with_time(make_folder) -> None:
    folder = make_folder("one")
    hurried = mirror_folder(folder, files_s=0)
    assert (hurried.trials, hurried.without_files) == (2, 2)
    assert names_in(folder.tracking_database) == TRIALS
    assert not folder.tracking_artifacts.exists()
    assert status_of(folder.tracking_database, "small") == "RUNNING"
    (page,) = mirror_studies(folder.path)
    assert (page.study, page.mirrored.without_files) == ("small", 0)
    assert len(describe_pages([page], "http://127.0.0.1:5000/").splitlines()) == 3
    assert names_in(folder.tracking_database) == sorted(TRIALS + SUMMARIES)
    drawn = sorted(path.name for path in folder.tracking_artifacts.rglob("*") if path.is_file())
    assert drawn == ["config.json"] * 2 + ["environment.json"] * 2 + ["learning_curves.svg"] * 2


def test_a_report_is_mirrored_with_its_study(make_folder) -> None:
    folder = make_folder("one")
    page = folder.report / "report.html"
    for text in ("first", "second"):
        folder.report.mkdir(exist_ok=True)
        page.write_text(text)
        mirror_folder(folder)
        (kept,) = folder.tracking_artifacts.rglob("report.html")
        assert kept.read_text() == text


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_a_model_that_takes_a_dict_is_mirrored_as_its_file(make_folder, caplog) -> None:
    data = {"source": "parquet", "train": "news.parquet", "text": "text"}
    trial = {"data": data, "model": {"name": "embedding_bag", "width": 4}}
    folder = make_folder("one", trial=STUDY["trial"] | trial, keep={"models": True})
    encoder = TextEncoder(train_tokenizer(TokenizerOptions(), ["one text", "one more text"]), 8)
    network = build_model("embedding_bag", encoder.shape, 2, {"width": 4}, encoder.input_sizes)
    for planned in plan_study(folder.read_spec()):
        saved = SavedModel(network, planned.config, encoder.shape, 2, ("a", "b"), {}, encoder)
        save_model(folder.model_file(planned.trial_id), saved)
    with caplog.at_level(logging.WARNING):
        mirrored = mirror_folder(folder)
    assert not caplog.messages
    assert (mirrored.trials, mirrored.without_files) == (2, 0)
    kept = list(folder.tracking_artifacts.rglob("model*"))
    assert [path.name for path in kept] == ["model.pt"] * 2
    again = load_model(kept[0])
    texts = ["one text", "one"]
    assert torch.equal(again.network(again.encode(texts)), network.eval()(encoder(texts)))


def test_a_variants_summary_has_its_own_method(make_folder) -> None:
    variants = {"plain": {"method.name": "uniform"}}
    folder = make_folder("one", design={"kind": "ablation", "variants": variants})
    mirror_folder(folder)
    assert status_of(folder.tracking_database, "small") == "FINISHED"
    pairs = """select m.value, v.value from runs r join tags m on m.run_uuid = r.run_uuid
        join tags v on v.run_uuid = r.run_uuid
        where m.key = 'method' and v.key = 'variant' and r.name not like '%seed%'"""
    found = sqlite3.connect(folder.tracking_database).execute(pairs).fetchall()
    assert ("uniform", "plain") in found
    assert len(found) == 2


def planned_in(store: Path) -> dict[str, list[str]]:
    """Marks of runs by their names."""
    pairs = """select r.name, t.value from runs r join tags t on t.run_uuid = r.run_uuid
        where t.key = 'l2rw.planned' order by t.value"""
    marks: dict[str, list[str]] = {}
    for name, mark in sqlite3.connect(store).execute(pairs):
        marks.setdefault(name, []).append(mark)
    return marks


def test_trials_of_settings_that_are_no_longer_asked_for_are_marked(make_folder, study_tree) -> None:
    mirror_folder(make_folder("one"))
    study_tree["trial"]["optim"]["epochs"] = 1
    folder = make_folder("one", design={"kind": "grid", "factors": {"method.name": ["l2rw", "random"]}})
    mirror_folder(folder)
    assert planned_in(folder.tracking_database) == {
        "l2rw · seed 0": ["no", "yes"],
        "uniform · seed 0": ["no"],
        "random · seed 0": ["yes"],
        "l2rw": ["yes"],
        "uniform": ["no"],
        "random": ["yes"],
    }


def test_two_folders_of_one_study_leave_each_others_marks(make_folder, study_tree, tmp_path) -> None:
    store = f"sqlite:///{tmp_path / 'shared.db'}"
    mirror_folder(make_folder("one"), store)
    study_tree["trial"]["optim"]["epochs"] = 1
    mirror_folder(make_folder("two"), store)
    found = planned_in(tmp_path / "shared.db")
    assert {name: marks for name, marks in found.items() if name in TRIALS} == {
        name: ["yes"] * 2 for name in TRIALS if name != "small"
    }


def test_two_mirrors_at_once_write_each_trial_once(make_folder) -> None:
    folder = make_folder("one")
    threads = [threading.Thread(target=mirror_folder, args=(folder, None, 0)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names_in(folder.tracking_database) == TRIALS


def test_studies_in_a_folder_share_its_store(make_folder, tmp_path) -> None:
    for name, study in (("one", "small"), ("two", "small"), ("three", "other")):
        make_folder(name, study)
    (tmp_path / "no-study").mkdir()
    for _ in range(2):
        pages = mirror_studies(tmp_path)
    assert [page.study for page in pages] == ["small (one)", "other", "small (two)"]
    assert [page.mirrored.trials for page in pages] == [2, 2, 2]
    assert len(names_in(tmp_path / "mlflow.db")) == 3 * 5
    assert sorted(path.name for path in (tmp_path / "mlartifacts").iterdir()) == ["one", "three", "two"]
    *studies, every, last = describe_pages(pages, "http://127.0.0.1:5000/").splitlines()
    assert studies[2].startswith("MLflow UI of other: http://127.0.0.1:5000/#/experiments/")
    assert studies[3].startswith("  single trials: http://127.0.0.1:5000/#/experiments/")
    assert every.startswith("MLflow UI of all 3 studies: http://127.0.0.1:5000/#/compare-experiments/")
    assert last.endswith("Ctrl-C stops the server")


def test_what_no_store_explains_is_logged_with_its_traceback(tmp_path, monkeypatch, caplog) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr(mirror_thread, "mirror_folder", fails)
    monkeypatch.setattr(mirror_thread, "_PAUSE_S", 0.01)
    with (
        caplog.at_level(logging.DEBUG, mirror_thread.__name__),
        Mirror(StudyFolder(tmp_path), None) as mirror,
    ):
        mirror(TrialEnded("0", TrialStatus.COMPLETED, 1, 3, 1.0, {}))
        mirror.finish()
    assert any(record.exc_info and record.levelno == logging.DEBUG for record in caplog.records)
    (warning,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert warning.getMessage().startswith("odd; the study continues")


def test_a_store_that_is_gone_at_the_end_costs_one_warning(tmp_path, monkeypatch, caplog) -> None:
    passed = threading.Event()

    def mirror(_folder: StudyFolder, uri: str, files_s: float) -> None:
        if files_s > 0:  # the last pass
            raise TrackingError("tracking store", uri, "cannot be used (gone)", "start it")
        passed.set()

    monkeypatch.setattr(mirror_thread, "mirror_folder", mirror)
    monkeypatch.setattr(mirror_thread, "_PAUSE_S", 0.01)
    with caplog.at_level(logging.WARNING), Mirror(StudyFolder(tmp_path), "http://127.0.0.1:1") as watching:
        watching(TrialEnded("0", TrialStatus.COMPLETED, 1, 3, 1.0, {}))
        assert passed.wait(5)
        watching.finish()
    (warning,) = caplog.messages
    assert f"`l2rw-ray track {tmp_path} --tracking-uri http://127.0.0.1:1` completes the mirror" in warning


def test_a_folder_without_studies_is_refused(tmp_path) -> None:
    with pytest.raises(StudyFolderError, match=r"it has no study\.yaml"):
        mirror_studies(tmp_path)
