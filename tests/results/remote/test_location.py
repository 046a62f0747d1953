from pathlib import Path

import pytest

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.results.remote.location import Location, parse_location


@pytest.fixture(autouse=True)
def _no_endpoint(monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("results/x", "results/x"),
        ("/a b/c", "/a b/c"),
        ("file:///a%20b/c", "/a b/c"),
        ("file://localhost/a", "/a"),
    ],
)
def test_folders_of_this_machine_are_paths(text, path):
    assert parse_location(text) == Path(path)


def test_an_address_is_shown_as_given_and_opened_with_what_is_needed(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    place = parse_location("s3://studies/a/b/")
    assert isinstance(place, Location)
    assert place.address == "s3://studies/a/b"
    assert place.inside("report/report.html") == "s3://studies/a/b/report/report.html"
    _, path = place.open()
    assert path == "studies/a/b"
    assert "endpoint_override=127.0.0.1%3A9000&scheme=http" in place.uri, "another node needs it too"
    own = parse_location("s3://studies/a?endpoint_override=localhost:1&scheme=http")
    assert "localhost%3A1" in own.uri
    assert own.inside("x") == "s3://studies/a/x"
    assert parse_location("gs://studies/a").open()[1] == "studies/a"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("ftp://host/x", "'ftp://host/x': not a supported store; use s3://BUCKET/PATH"),
        ("s3:///x", "names no bucket"),
        ("s3://", "names no bucket"),
        ("s3://bucket", "names no folder in the bucket; use s3://BUCKET/PATH"),
        ("gs://bucket/", "names no folder in the bucket; use gs://BUCKET/PATH"),
        ("s3://bucket/x?secret_key=s3cret", "unknown option 'secret_key'"),
        ("s3://bucket/x#s3cret", "holds an option or a '#'"),
        ("s3://an-id:s3cret@bucket/x", "'s3://***': holds credentials or a port; leave them out"),
        ("s3://an-id:s3/cret@bucket/x", "'s3://***': holds credentials or a port"),
        ("file://other/x", "is on another machine"),
    ],
)
def test_nonsense_is_refused_in_one_line_without_secrets(text, complaint):
    with pytest.raises(StudyFolderError) as refused:
        parse_location(text)
    message = str(refused.value)
    assert complaint in message
    assert "s3cret" not in message
    assert "cret@" not in message
    assert "\n" not in message


def test_what_pyarrow_cannot_read_is_refused_in_one_line():
    with pytest.raises(StudyFolderError, match=r"'s3://bucket/a b': cannot be opened \(Cannot parse URI"):
        parse_location("s3://bucket/a b").open()
