"""python -m scratchser.check.judge.child FILE VERDICT TRACE SECONDS MEGABYTES [DRAWING]: what limits.py starts.

The file's time starts when the judge is imported. Whatever ends the process, VERDICT contains the findings so far, and
TRACE the line that was running.
"""

import faulthandler
import sys
import threading
from pathlib import Path

from scratchser.check.exercises import load
from scratchser.check.judge.judge import judge
from scratchser.check.judge.source import begin

try:
    import resource
except ImportError:  # Windows: only the time is limited
    resource = None  # type: ignore[assignment]

OUTPUT_BYTES = 16 * 2**20  # that the file may write to one place
STACK_BYTES = 4 * 2**20  # of a thread; the memory limit counts it


def limit(megabytes: int) -> None:
    """Limit the memory from here on. What the imports use already does not count."""
    if resource is None:
        return
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: OUTPUT_BYTES}
    usage = Path("/proc/self/statm")
    if usage.exists():
        pages = int(usage.read_text().split()[0])
        limits[resource.RLIMIT_AS] = pages * resource.getpagesize() + megabytes * 2**20
    for kind, value in limits.items():
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def main() -> None:
    file, verdict, trace = map(Path, sys.argv[1:4])
    seconds, megabytes = map(int, sys.argv[4:6])
    drawing = Path(sys.argv[6]) if len(sys.argv) == 7 else None
    load(begin(file).exercise)  # imports the exercise before the time starts
    with open(trace, "w", encoding="utf-8") as output:
        faulthandler.enable(output)
        faulthandler.dump_traceback_later(seconds, exit=True, file=output)
        threading.stack_size(STACK_BYTES)  # the tracer starts a thread for each CUDA thread of a block
        limit(megabytes)  # after the watchdog, which is a thread
        judge(file, lambda found: found.save(verdict), drawing)
        faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    if len(sys.argv) not in (6, 7):
        print(
            "usage: python -m scratchser.check.judge.child FILE VERDICT TRACE SECONDS MEGABYTES [DRAWING]",
            file=sys.stderr,
        )
        sys.exit(2)
    main()
