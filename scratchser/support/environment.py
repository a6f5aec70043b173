"""Versions, commit and machine of a run, to explain later why two runs differ."""

import datetime
import hashlib
import os
import platform
import re
import shlex
import subprocess
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from numba.core import config

import scratchser
from scratchser import kernels

CUDA_LIBRARIES = ("cupy-cuda12x", "cupy-cuda13x", "numba-cuda")  # not always installed
LIBRARIES = ("numpy", "numba", "llvmlite", "scipy", "soundfile", "matplotlib", *CUDA_LIBRARIES)


def describe(device: str, workers: int = 1) -> dict[str, Any]:
    """Returns what environment.json holds. `workers` is the number of folds that run at the same time."""
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.orig_argv),  # as it was typed
        "python": platform.python_version(),
        "libraries": {"scratchser": scratchser.__version__} | _installed(),
        "commit": _commit(Path(__file__).parent),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "workers": workers,
        "threads_per_worker": threads(workers),
        "device": device,
    }


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads(workers: int) -> int:
    """Threads of each of `workers` processes: an equal share of the cores; a single process gets all of Numba's."""
    most = config.NUMBA_NUM_THREADS
    return most if workers <= 1 else min(max(1, cores() // workers), most)


def source() -> str:
    """SHA-256, as hex, of all Python files of the package, since an installed copy has no commit."""
    texts = []
    for package in (scratchser, kernels):  # in a checkout the kernels lie in another folder
        folder = Path(str(package.__file__)).parent
        files = [path for path in sorted(folder.rglob("*.py")) if "kernels" not in path.relative_to(folder).parts]
        texts += [path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() for path in files]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()


def _installed() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _commit(folder: Path) -> str | None:
    """The git commit of this source, with "+changes" if files differ from it; None outside the repository."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=10).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)  # an installed copy may be inside another repository
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):  # no git, no repository, or another one
        return None


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"^model name\s*: (.*)$", cpuinfo.read_text(encoding="utf-8"), re.M) if cpuinfo.exists() else None
    return model[1] if model else platform.processor() or platform.machine()
