import pytest

from l2rw_ray.errors import TrackingError
from l2rw_ray.tracking.uri import masked, masked_of, refuse_unknown_store


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://ann:s3cret@host:5000/path", "http://***@host:5000/path"),
        ("https://ann@host", "https://***@host"),
        ("http://ann:p@ss@host", "http://***@host"),
        ("http://ann:p/ss@host", "http://***@host"),
        (
            "postgresql://ann:s3cret@host/db?sslpassword=x1&a=b",
            "postgresql://***@host/db?sslpassword=***&a=b",
        ),
        ("http://host/?token=abc", "http://host/?token=***"),
        ("http://host:5000", "http://host:5000"),
        ("sqlite:////home/ann/mlflow.db", "sqlite:////home/ann/mlflow.db"),
    ],
)
def test_addresses_are_shown_without_secrets(uri, shown):
    assert masked(uri) == shown
    assert masked(f"cannot reach {uri} at all") == f"cannot reach {shown} at all"


def test_secrets_are_masked_in_whatever_words_a_library_finds():
    uri = "http://ann:p%40ss@host"
    assert masked_of("denied to 'p@ss' and p%40ss of ann:p@ss", uri) == "denied to '***' and *** of ***"


def test_an_unknown_store_is_refused_without_its_password():
    with pytest.raises(TrackingError) as raised:
        refuse_unknown_store("bogus://ann:s3cret@host")
    assert "s3cret" not in str(raised.value)
    assert "bogus://***@host" in str(raised.value)
