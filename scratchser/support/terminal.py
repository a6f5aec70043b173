"""What a command prints: results on stdout, messages and progress on stderr (a bar on a terminal, lines in a log)."""

import math
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from tqdm import tqdm

from scratchser.support.errors import ProcessingError

Item = TypeVar("Item")


def write(text: str) -> None:
    """Print a text with one newline at its end. If nobody reads stdout any more, exit quietly with code 1.

    Raises ProcessingError if stdout cannot be written, for example to a full disk.
    """
    try:
        print(text.removesuffix("\n"))
        sys.stdout.flush()  # at exit, the error could not be caught
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes stdout again at exit
        if isinstance(error, BrokenPipeError):
            sys.exit(1)
        raise ProcessingError(f"cannot write to standard output: {error.strerror}") from error


def table(rows: Iterable[Sequence[str]], left: int) -> str:
    """Rows in columns. The first `left` columns are aligned to the left, the others to the right."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    columns = [f"{'<' if i < left else '>'}{width}" for i, width in enumerate(widths)]
    lines = ("  ".join(f"{cell:{column}}" for cell, column in zip(row, columns, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def say(line: str) -> None:
    """Print a line on stderr without disturbing a bar."""
    tqdm.write(line, file=sys.stderr)


def bar(items: Sequence[Item], description: str) -> Iterable[Item]:
    """Returns the items, with a progress bar on a terminal."""
    return _tqdm(items, desc=description, leave=False)


def _tqdm(*items: Any, **options: Any) -> Any:
    progress = tqdm(*items, file=sys.stderr, disable=not sys.stderr.isatty(), **options)
    if not progress.disable and progress.ncols is not None and progress.ncols < 1:
        progress.ncols, progress.nrows = 80, 24  # some containers report 0, and tqdm would print nothing
    return progress


class Epochs:
    """Progress over all epochs of the unfinished folds, of one run or of several.

    folds   of each fold: the number of epochs, and how many of them an earlier start has done
    alike   whether an epoch takes the same time in all folds
    """

    def __init__(self, folds: Mapping[str, tuple[int, int]], alike: bool = True) -> None:
        self.alike = alike
        self.epochs = {fold: epochs for fold, (epochs, _) in folds.items()}
        self.open = {fold: epochs - done for fold, (epochs, done) in folds.items()}
        self.warm: set[str] = set()  # folds that have done an epoch since this start
        self.started = 0.0  # when the first of them did
        self.timed = 0  # epochs since then
        self.bar = _tqdm(
            total=self.left, unit="epoch", bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
        )

    @property
    def left(self) -> int:  # if no fold stops early
        return sum(self.open.values())

    def epoch(self, fold: str, row: dict[str, Any]) -> None:
        """Report that a fold has done an epoch; `row` is its line of metrics.jsonl."""
        self.open[fold] = self.epochs[fold] - row["epoch"]
        self._time(fold)
        part = "train" if math.isnan(row["validation"]["ua"]) else "validation"  # select_epoch=false: no validation
        scores = f"loss {row['train']['loss']:.3f}, {part} UA {row[part]['ua']:.3f}"
        text, left = f"{fold} epoch {row['epoch']}/{self.epochs[fold]}: {scores}", self._time_left()
        if self.bar.disable:
            print(", ".join(filter(None, [text, left])), file=sys.stderr, flush=True)
        else:
            self.bar.set_description(text, refresh=False)
            self.bar.set_postfix_str(left, refresh=False)
            self.bar.update()

    def fold(self, fold: str, result: dict[str, Any]) -> None:
        """Report that a fold is finished, now or by an earlier start. Its remaining epochs no longer count."""
        self.open.pop(fold, None)
        self.bar.total = self.bar.n + self.left
        scores = f"WA {100 * result['wa']:.1f} %, UA {100 * result['ua']:.1f} %"
        say(f"{fold}, speaker {result['test_speaker']}: {scores}")

    def close(self) -> None:
        self.bar.close()

    def _time(self, fold: str) -> None:
        """Count an epoch, but not the first one of a fold, which may have compiled the kernels."""
        if not self.warm:
            self.started = time.monotonic()
        elif fold in self.warm:
            self.timed += 1
        self.warm.add(fold)

    def _time_left(self) -> str:
        if self.timed == 0:
            return ""
        seconds = (time.monotonic() - self.started) / self.timed * self.left
        return f"{'at most' if self.alike else 'at this pace'} {math.ceil(seconds / 60)} min left"
