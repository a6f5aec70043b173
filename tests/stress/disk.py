"""Train with a full disk, a read-only folder, or a user without a name and a home.

    python tests/stress/disk.py --limits 40 --seed 0

A failed run ends with one line, and resumes to the same bits. A limit of the size of files stands in for a full disk:
each write beyond it fails. docs/verification.md has the figures of a long campaign, test_stress.py is a short one.
"""

import argparse
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

import small_corpus
from kills import command
from small_corpus import measured

NOBODY = 54321  # a user id without a name


def run(arguments: list[str], size: int | None = None, **options) -> subprocess.CompletedProcess:
    """Run a command; no file can grow beyond `size` bytes."""

    def limit() -> None:
        if size is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # else the signal ends the process
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return subprocess.run(arguments, capture_output=True, text=True, preexec_fn=limit, **options)


def error_line(done: subprocess.CompletedProcess) -> str:
    """The line that ends a failed command. Raises AssertionError if the command did not fail with one line."""
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode in (1, 2) and len(errors) == 1 and "Traceback" not in done.stderr, done.stderr
    return errors[0]


def campaign(folder: Path, limits: int, seed: int) -> Counter[str]:
    """Train with random limits, then resume without one. Returns how often which file could not be written."""
    rng, counts = random.Random(seed), Counter[str]()
    corpus = small_corpus.write(folder / "corpus")
    straight = run(command(corpus, folder / "straight"))
    assert straight.returncode == 0, straight.stderr
    expected = measured(folder / "straight")
    largest = max(file.stat().st_size for file in (folder / "straight").rglob("*"))
    for number in range(limits):
        out = folder / f"full-{number}"
        done = run(command(corpus, out), size=int(largest ** rng.random()))
        if done.returncode:
            file = re.search(r"cannot write (\S*/)?([^/:]+):", error_line(done))
            counts[file[2] if file else "another error"] += 1
        resume = ["--resume"] * (out / "config.json").exists()
        again = run([*command(corpus, out), *resume])
        assert again.returncode == 0, again.stderr
        assert measured(out) == expected, f"{out}: another result after a full disk"
    return counts


def read_only(folder: Path) -> str:
    """The error line of a run whose folder cannot be made."""
    corpus, locked = small_corpus.write(folder / "corpus"), folder / "locked"
    locked.mkdir(mode=0o500)
    return error_line(run(command(corpus, locked / "run"), **_nobody(folder)))


def without_home(folder: Path) -> subprocess.CompletedProcess:
    """A run by a user without a name and a home, in a folder that this user may write."""
    corpus, out = small_corpus.write(folder / "corpus"), folder / "runs"
    out.mkdir(mode=0o777)
    out.chmod(0o777)
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(out)}
    return run(command(corpus, out / "run"), env=environment, cwd=out, **_nobody(folder))


def _nobody(folder: Path) -> dict:
    """For subprocess: another user, where this process is root, who may write read-only folders.

    Raises PermissionError if other users cannot run this Python, as in a home folder of root.
    """
    if os.getuid() != 0:
        return {}
    for parent in (folder, *folder.parents[:-1]):
        parent.chmod(parent.stat().st_mode | 0o555)
    subprocess.run([sys.executable, "-c", "import scratchser"], check=True, user=NOBODY, group=NOBODY, extra_groups=[])
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--limits", type=int, default=40)
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()
    folder = Path(tempfile.mkdtemp())
    counts = campaign(folder / "full", args.limits, args.seed)
    print(f"{counts.total()} of {args.limits} runs failed with one line, every resumed run has the same bits")
    for file, count in counts.most_common():
        print(f"{count:5d}  {file}")
    shutil.rmtree(folder)
