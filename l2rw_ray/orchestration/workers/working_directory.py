"""The working directory of a worker, which may be removed under it."""

import os
import tempfile
from pathlib import Path


def ensure_working_directory() -> None:
    """Enter the working directory anew, or one for temporary files, if it has been removed.

    Raylets of one machine share the folder into which Ray unpacks custom code, and each of them removes
    what it finds there before it unpacks. In a process whose working directory is gone, importing torch
    ends the process (`oneMKL FATAL ERROR: Cannot load libtorch_cpu.so`, exit code 2).
    """
    try:
        Path.cwd()
    except FileNotFoundError:
        path = os.environ.get("PWD", "")
        os.chdir(path if os.path.isdir(path) else tempfile.gettempdir())
