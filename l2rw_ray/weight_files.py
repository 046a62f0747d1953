"""Where trained weights are: in a file, in an installed package, or by name."""

import importlib.util
import os
import re
from pathlib import Path

from l2rw_ray.errors import InputError, first_line

PACKAGE, HUB, PRETRAINED = "package:", "hub:", "pretrained"
"""What a path inside an installed package, and a name of huggingface.co, begin with; timm's own weights."""
_RELEASE = re.compile(r"[A-Z][A-Z0-9_]*")


def is_release_name(weights: str) -> bool:
    """Return whether this is the name of a release of torchvision's weights, such as `IMAGENET1K_V2`."""
    return _RELEASE.fullmatch(weights) is not None


def local_path(field: str, given: str) -> Path:
    """Return the path of a file or folder that may be inside an installed package, which is not imported.

    Args:
        field: The field that names it.
        given: A path, or `package:NAME/PATH`.

    Raises:
        InputError: The package is not installed, or the path leaves it.
    """
    if "\0" in given:
        raise InputError(field, given, "no path", "give one without null characters")
    if not given.startswith(PACKAGE):
        return Path(os.path.expanduser(given))  # which leaves the names of unknown users as they are
    name, _, rest = given.removeprefix(PACKAGE).partition("/")
    if not name.isidentifier() or not rest or {"..", "/"} & {*Path(rest).parts}:
        raise InputError(field, given, "no file of a package", "write it as package:NAME/PATH")
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # a module that was not imported from anywhere, such as `__main__`
        spec = None
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not folders:
        raise InputError(field, given, f"no package {name!r} is installed", "install it, or name a file")
    return Path(folders[0]) / rest


def resolved(field: str, given: str) -> Path:
    """Return the path of a file that may also be `hub:OWNER/NAME/FILE`, which is downloaded where it must be.

    Args:
        field: The field that names it.
        given: A path, `package:NAME/PATH` or `hub:OWNER/NAME/FILE`, of a revision with `NAME@REVISION`.

    Raises:
        InputError: It cannot be loaded.
    """
    if not given.startswith(HUB):
        return local_path(field, given)
    try:
        import huggingface_hub
    except ModuleNotFoundError:
        problem, remedy = (
            "transformers is not installed",
            "install the extra: pip install l2rw-ray[transformers]",
        )
        raise InputError(field, given, problem, remedy) from None
    owner, name, *rest = [*given.removeprefix(HUB).split("/"), "", ""][:3]
    name, _, revision = name.partition("@")
    try:
        found = huggingface_hub.hf_hub_download(f"{owner}/{name}", rest[0], revision=revision or None)
    except Exception as error:  # of the network, the name, the file, the cache
        raise hub_error(field, given, error) from error
    return Path(found)


def hub_error(field: str, given: str, error: Exception) -> InputError:
    """Return the error for what huggingface.co or its local cache does not give."""
    problem = f"cannot be loaded ({first_line(error).rstrip('.')})"
    remedy = "check name and network, or give the folder of a copy"
    return InputError(field, given, problem, remedy)
