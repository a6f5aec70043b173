"""Kill training runs at random moments and resume them: the results must have the same bits.

    python tests/stress/kills.py --moments 200 --seed 0

Every second run trains in worker processes; half of these lose the parent process alone, half of them are killed as a
whole process group. A third of the resumed runs are killed again. docs/verification.md has the figures of a long
campaign, test_stress.py is a short one.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

import small_corpus
from small_corpus import measured

LIMIT = 120  # seconds that the processes of a killed run may live on


def command(corpus: Path, out: Path, workers: int = 1) -> list[str]:
    training = ["--epochs", "4", "--folds", "1,3,4", "--workers", str(workers)]
    return [sys.executable, "-m", "scratchser.cv", str(corpus), *small_corpus.SETTINGS, *training, "--out", str(out)]


def interrupt(arguments: list[str], seconds: float, kill) -> int | None:
    """Start a run and kill it after some seconds. Returns its exit code, or None if it was killed."""
    process = subprocess.Popen(
        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        kill(process.pid, signal.SIGKILL)
    message = process.communicate(timeout=LIMIT)[1]  # stderr ends when the last process of the run ends
    assert process.returncode in (0, -signal.SIGKILL), message
    return None if process.returncode else 0


def campaign(folder: Path, moments: int, seed: int) -> Counter[str]:
    """Returns how often runs were killed in which state. Raises AssertionError if a result differs."""
    rng, counts = random.Random(seed), Counter[str]()
    corpus = small_corpus.write(folder / "corpus")
    for name in ("compiled", "straight"):  # the first may compile kernels, which takes longer than any later run
        started = time.monotonic()
        subprocess.run(command(corpus, folder / name), check=True, capture_output=True)
    seconds, expected = time.monotonic() - started, measured(folder / "straight")
    for number in range(moments):
        out = folder / f"killed-{number}"
        done, kills = None, 0
        while done is None:
            began = (out / "config.json").exists()
            arguments = command(corpus, out, workers=2 - number % 2) + ["--resume"] * began
            moment = rng.uniform(0.1, 1) * seconds if kills == 0 or rng.random() < 1 / 3 else 10 * seconds
            done = interrupt(arguments, moment, os.kill if number % 4 == 0 else os.killpg)
            if done is None:
                kills += 1
                finished = len(list(out.glob("folds/*/result.json")))
                counts[f"{finished} folds finished" if (out / "config.json").exists() else "no run yet"] += 1
        assert measured(out) == expected, f"{out}, seed {seed}, moment {number}: another result after {kills} kills"
    return counts


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--moments", type=int, default=200)
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts = campaign(Path(folder), args.moments, args.seed)
    print(f"{counts.total()} kills of {args.moments} runs, every result with the same bits")
    for state, count in sorted(counts.items()):
        print(f"{count:5d}  {state}")
