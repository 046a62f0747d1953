from pathlib import Path

from l2rw_ray.errors import InputError


def test_long_values_keep_their_ends() -> None:
    address = "/".join(["s3:/", *["folder"] * 20, "trial.parquet"])
    line = str(InputError("trial file", address, "unreadable", "delete it"))
    assert line.startswith("trial file = 's3://folder")
    assert line.endswith("folder/trial.parquet': unreadable; delete it")
    assert "…" in line
    assert str(InputError("seeds", [1, 2], "no", "fix it")) == "seeds = [1, 2]: no; fix it"


def test_paths_stay_whole() -> None:
    path = Path("/", *["folder"] * 20, "trial.parquet")
    assert str(InputError("trial file", path, "unreadable", "delete it")).startswith(
        f"trial file = '{path}': "
    )
