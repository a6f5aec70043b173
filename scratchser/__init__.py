"""A speech emotion recognition paper from scratch, every kernel written by hand."""

import sys
from pathlib import Path

__version__ = "0.1.0"

if sys.argv[:1] == ["-m"] and "-m" in sys.orig_argv:  # python -m scratchser.model would end silently with status 0
    _module = sys.orig_argv[sys.orig_argv.index("-m") + 1]
    _file = Path(__file__).parent.joinpath(*_module.split(".")[1:]).with_suffix(".py")
    if _file.is_file() and "__main__" not in _file.read_text(encoding="utf-8"):
        sys.exit(f"{_module} is not a command: python -m scratchser lists them")
