"""Read mutated label files, manifests and sound files: no traceback, no hang, bounded memory.

    python tests/stress/fuzz.py --inputs 100000 --seed 0

Every input is a valid file with a few random changes. Reading it must give a corpus, whose problems name what is
broken, or a CorpusError with one line. docs/verification.md has the figures of a long campaign, test_stress.py is a
short one.
"""

import argparse
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

import trees

from scratchser import corpus
from scratchser.corpus.audio import check_audio
from scratchser.corpus.features import extract
from scratchser.corpus.summary import summarise
from scratchser.corpus.table import CorpusError
from scratchser.presets import PRESETS

SECONDS = 10  # for one input
MEMORY = 4 * 2**30  # bytes of address space beyond what the imports take
FORMATS = ("WAV", "RF64", "W64", "AIFF", "AU", "FLAC", "OGG", "CAF", "NIST")
NUMBERS = (b"\x00" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x01\x00\x00\x00")
TEXTS = (b"\x00", b'"', b"\n", b"\r", b"\t", b";", b",", b"\xff\xfe", "é\u0301".encode(), b"..", b"/" * 9, b"x" * 999)


def mutated(data: bytes, rng: random.Random, start: int = 300) -> bytes:
    """One to four changes, most of them among the first `start` bytes, where headers are."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        end = len(changed) if rng.random() < 0.2 else min(start, len(changed))
        at, kind = rng.randrange(end + 1), rng.randrange(6)
        length = rng.choice((1, 1, 2, 4, 20))
        if kind == 0:  # random bytes
            changed[at : at + length] = rng.randbytes(length)
        elif kind == 1:  # a part is missing
            del changed[at : at + length]
        elif kind == 2:  # the end is missing
            del changed[at:]
        elif kind == 3:  # a number of a header
            changed[at : at + 4] = rng.choice(NUMBERS)
        elif kind == 4:  # something that means something
            changed[at:at] = rng.choice(TEXTS)
        else:  # a part twice
            changed[at:at] = changed[at : at + 10 * length]
    return bytes(changed)


def read(path: Path, kind: str) -> str:
    """Read a corpus as the commands do. Returns "read", "problems" or "refused"."""
    try:
        table = corpus.load(path, kind)
    except CorpusError as error:
        assert "\n" not in str(error), f"more than one line: {error}"
        return "refused"
    report = check_audio(table)
    problems = summarise(table, report)["problems"]
    good = table.without({problem["utterance"] for problem in problems} - {None})
    extract(good, PRESETS["demo"])
    return "problems" if problems else "read"


def try_one(file: Path, valid: list[bytes], start: int, corpus: Path, kind: str, rng: random.Random) -> str:
    """Read a corpus whose `file` is a mutated valid one."""
    chosen = rng.choice(valid) if len(valid) > 1 else valid[0]
    file.write_bytes(mutated(chosen, rng, start))
    return read(corpus, kind)


def label_files(folder: Path) -> Callable[[random.Random], str]:
    stem = "Ses01F_impro01"
    blocks = [trees.agreed(f"{stem}_F{n:03d}", word) for n, word in enumerate(("Neutral", "Sadness", "Anger"))]
    file = trees.dialog(folder, stem, *blocks)
    for n in range(3):
        trees.wav(trees.sentence(folder, f"{stem}_F{n:03d}"), seconds=0.1)
    valid = file.read_bytes()
    return partial(try_one, file, [valid], len(valid), folder, "iemocap")


def manifests(folder: Path) -> Callable[[random.Random], str]:
    rows = [f"{name}.wav,{name},{word},F" for name, word in (("a", "neutral"), ("b", "anger"), ("c", "sadness"))]
    valid = "\n".join(["path,speaker,emotion,gender", *rows, ""]).encode()
    for name in "abc":
        trees.wav(folder / f"{name}.wav", seconds=0.1)
    return partial(try_one, folder / "manifest.csv", [valid], len(valid), folder / "manifest.csv", "csv")


def sound_files(folder: Path) -> Callable[[random.Random], str]:
    sound = np.random.default_rng(0).normal(0, 0.1, 3200)
    valid = []
    for kind in FORMATS:
        soundfile.write(folder / "valid", sound, 16000, format=kind)
        valid.append((folder / "valid").read_bytes())
    (folder / "manifest.csv").write_text("path,speaker,emotion\na.wav,a,anger\n", encoding="utf-8")
    return partial(try_one, folder / "a.wav", valid, 100, folder / "manifest.csv", "csv")


KINDS = {"label files": label_files, "manifests": manifests, "sound files": sound_files}


def _too_slow(*_: object) -> None:
    raise TimeoutError(f"an input took more than {SECONDS} s")


def campaign(folder: Path, inputs: int, seed: int) -> dict[str, Counter[str]]:
    """Read a third of the inputs of each kind. Returns how often each kind was read, had problems or was refused.

    Raises the exception of an input that is read badly; its note names the input.
    """
    signal.signal(signal.SIGALRM, _too_slow)
    counts = {}
    for kind, make in KINDS.items():
        place = folder / kind.replace(" ", "-")
        place.mkdir()
        one, counts[kind] = make(place), Counter[str]()
        for number in range(inputs // len(KINDS)):
            signal.alarm(SECONDS)
            try:
                counts[kind][one(random.Random(f"{seed} {kind} {number}"))] += 1
            except BaseException as error:
                error.add_note(f"{kind}, seed {seed}, input {number}: the files are in {place}")
                raise
            finally:
                signal.alarm(0)
    return counts


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--inputs", type=int, default=100_000)
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    started = time.monotonic()
    counts = campaign(Path(tempfile.mkdtemp()), args.inputs, args.seed)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{args.inputs} inputs in {time.monotonic() - started:.0f} s, at most {peak / 2**20:.0f} MB: no traceback")
    for kind, found in counts.items():
        print(f"{kind:12s} {', '.join(f'{count} {what}' for what, count in sorted(found.items()))}")
