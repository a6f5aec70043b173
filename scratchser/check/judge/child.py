"""python -m scratchser.check.judge.child FILE VERDICT TRACE SECONDS MEGABYTES, the process in which limits.py judges a file.

The clock starts when everything of ours is imported. Whatever ends the process, the verdict so far lies in VERDICT, and
TRACE says in which line the file was.
"""

import faulthandler
import sys
import time
from pathlib import Path

from scratchser.check.judge.judge import judge

try:
    import resource
except ImportError:  # Windows: time is limited, memory is not
    resource = None  # type: ignore[assignment]

OUTPUT_BYTES = 16 * 2**20  # what the file may write to any one place


def limit(seconds: int, megabytes: int) -> None:
    """Memory counts from here on: what numba and LLVM have mapped by now is not the file's."""
    if resource is None:
        return
    used = int(time.process_time())
    caps = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: OUTPUT_BYTES,
        resource.RLIMIT_CPU: used + 4 * seconds,  # of all threads together; the wall clock comes first
    }
    mapped = _mapped()
    if mapped:
        caps[resource.RLIMIT_AS] = mapped + megabytes * 2**20
    for kind, most in caps.items():
        hard = resource.getrlimit(kind)[1]
        soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (soft, hard))


def _mapped() -> int:
    """Bytes of address space in use; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError):
        return 0
    return pages * resource.getpagesize()


def main() -> None:
    file, verdict, trace = map(Path, sys.argv[1:4])
    seconds, megabytes = map(int, sys.argv[4:6])
    limit(seconds, megabytes)
    with open(trace, "w", encoding="utf-8") as told:
        faulthandler.enable(told)
        faulthandler.dump_traceback_later(seconds, exit=True, file=told)
        judge(file, heard=lambda found: found.save(verdict))
        faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()
