"""matplotlib with its own settings, not the user's, which may need LaTeX or a window, or hold errors."""

import contextlib
import importlib.util
import os
import sys
from pathlib import Path

from scratchser.support.errors import UsageError


def import_matplotlib() -> None:
    """Import matplotlib for this process before anything else does; without effect later.

    Its settings come from MPLBACKEND, which a notebook sets for the commands that it starts, and from the first
    matplotlibrc in the current folder, MATPLOTLIBRC and MPLCONFIGDIR. The last one is also the folder of its list of
    fonts, which moves to the compile cache. Raises UsageError if no folder can hold it.
    """
    if "matplotlib" in sys.modules:
        return
    from scratchser.kernels.machine import cache_files  # imports Numba: not for --help

    package = importlib.util.find_spec("matplotlib")
    assert package and package.origin, "a dependency"
    own = Path(package.origin).with_name("mpl-data")
    os.environ.pop("MPLBACKEND", None)
    os.environ["MATPLOTLIBRC"] = str(own)
    if cache := cache_files.home():  # a folder that can be written, also without a home folder
        os.environ["MPLCONFIGDIR"] = os.path.join(cache, "matplotlib")
    with contextlib.chdir(own) if os.path.exists("matplotlibrc") else contextlib.nullcontext():
        try:
            import matplotlib.font_manager  # noqa: F401
        except OSError as error:  # no folder can be written
            raise UsageError(str(error)) from error
