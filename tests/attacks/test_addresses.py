"""Passwords and tokens in addresses, which no output shows."""

import json
from collections.abc import Callable

import pytest

from l2rw_ray.errors import InputError
from l2rw_ray.masking import masked, masked_of, masked_tree
from l2rw_ray.orchestration.jobs.submission import Submission
from l2rw_ray.results.remote.location import parse_location
from l2rw_ray.tracking.uri import check_known_store

pytestmark = pytest.mark.attack("secrets that are shown")

ADDRESSES = [
    'postgresql://ann:s3"cret@host/db',
    "postgresql://ann:s3'cret@host/db",
    "postgresql://ann:s3 cret@host/db",
    "postgresql://ann:s3@cret@host/db",
    "postgresql://ann:s3/cret@host/db",
    "postgresql://ann:s3?cret@host/db",
    "postgresql://ann:s3#cret@host/db",
    "postgresql://ann:s3%20cret@host/db",
    "postgresql+psycopg://s3cret@host/db",
    "https://host/store?sig=s3cret",
    "https://host/store?se=1&sig=s3%2Fcret%3D",
    "https://host/store?auth=s3cret",
    "https://host/store?s3cret",
    "https://host/store#token=s3cret",
    "https://host/store#s3cret",
    "https://host/store;token=s3cret",
    "https://host/?a=b;pin=s3cret",
    "https://host/?AUTH=s3cret",
    "https://host/?%61uth=s3cret",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BUID%3Da%3BPWD%3Ds3cret",
    "mssql+pyodbc:///?odbc_connect=DRIVER={x};UID=a;PWD=s3cret",
    "mysql://ann@host/db?passwd=s3cret&charset=utf8",
    "https://host/?x=https://ann:s3cret@other/",
    "https://host/?uri=https%3A%2F%2Fann%3As3cret%40other/",
    "https://host/?endpoint_override=https%253A%252F%252Fann%253As3cret%2540other",
    "https://host/?application_name=a%26password%3Ds3cret",
    "mssql+pyodbc://host/?driver=x%3BPWD%3Ds3cret",
]


def _is_shown(text: str) -> bool:
    return any(piece in text for piece in ("s3cret", "cret@", "cret/", "s3 ", 's3"', "s3'", "s3%", "cret"))


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_shown_without_secrets(address: str) -> None:
    assert not _is_shown(masked(address)), masked(address)
    assert masked(address).partition("://")[0] == address.partition("://")[0]
    text = f"cannot reach {address} at all, no access for {address.partition('://')[2]}"
    assert not _is_shown(masked_of(text, address)), masked_of(text, address)
    assert not _is_shown(json.dumps(masked_tree({"data": [{"root": address}]})))
    with pytest.raises(InputError) as refused:
        Submission(tracking_uri=address).check_usable()
    assert not _is_shown(str(refused.value))
    with pytest.raises(InputError) as refused:
        check_known_store("bogus" + address)
    assert not _is_shown(str(refused.value))


@pytest.mark.parametrize(
    "address", [each.replace("https", "s3") for each in ADDRESSES if ";token" not in each]
)
def test_a_folder_is_refused_without_secrets(address: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_location(address)
    assert not _is_shown(str(refused.value)), refused.value


@pytest.mark.parametrize(
    "address",
    [
        "http://host:5000",
        "sqlite:////home/ann smith/mlflow.db",
        "postgresql://host/db?sslmode=require",
        "mssql+pyodbc://host/db?driver=ODBC+Driver+17",
        "s3://bucket/x?region=eu&scheme=http",
        "results/x",
    ],
)
def test_what_is_no_secret_is_shown(address: str) -> None:
    assert masked(address) == address


@pytest.mark.parametrize("address", [each for each in ADDRESSES if each.startswith("https")])
def test_the_dashboards_address_is_shown_without_secrets(
    address: str, call: Callable[..., tuple[int, str, str]], study: Callable[..., object]
) -> None:
    port = address.replace("host", "127.0.0.1:9")
    code, output, error = call("submit", str(study()), "--address", port)
    assert (code, _is_shown(output + error)) == (2, False), error
