"""What a run says while it goes on: a bar with the time left on a terminal, plain lines in a log. All on stderr."""

import math
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from tqdm import tqdm


def write(text: str) -> None:
    """Print a text, ending with a newline. Where its reader has gone, the program ends quietly, with exit code 1."""
    try:
        print(text.removesuffix("\n"))
        sys.stdout.flush()  # here and not at exit, where the error could not be caught
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what the interpreter still flushes
        sys.exit(1)


Item = TypeVar("Item")


def say(line: str) -> None:
    tqdm.write(line, file=sys.stderr)


def bar(items: Sequence[Item], what: str) -> Iterable[Item]:
    """The items, with a bar on a terminal."""
    return tqdm(items, what, file=sys.stderr, leave=False, disable=not sys.stderr.isatty())


class Epochs:
    """Progress over all epochs of the folds that are not done yet, of one run or of several.

    folds   per fold that is not done yet, by its name: its epochs at most, and those that an earlier start left there
    alike   an epoch of any fold takes as long as that of another
    """

    def __init__(self, folds: Mapping[str, tuple[int, int]], alike: bool = True) -> None:
        self.alike = alike
        self.epochs = {fold: most for fold, (most, _) in folds.items()}
        self.open = {fold: most - already for fold, (most, already) in folds.items()}
        self.heard: set[str] = set()  # folds that finished an epoch in this run of the program
        self.started = 0.0  # when the first of them did
        self.timed = 0  # epochs since then
        self.bar = tqdm(
            total=self.left,
            unit="epoch",
            file=sys.stderr,
            disable=not sys.stderr.isatty(),
            bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]",
        )

    @property
    def left(self) -> int:
        """Epochs to come, if no fold stops early."""
        return sum(self.open.values())

    def epoch(self, fold: str, row: dict[str, Any]) -> None:
        """A fold finished an epoch."""
        self.open[fold] = self.epochs[fold] - row["epoch"]
        self._time(fold)
        scores = f"loss {row['train']['loss']:.3f}, validation UA {row['validation']['ua']:.3f}"
        said, left = f"{fold} epoch {row['epoch']}/{self.epochs[fold]}: {scores}", self._time_left()
        if self.bar.disable:
            print(", ".join(filter(None, [said, left])), file=sys.stderr, flush=True)
        else:
            self.bar.set_description(said, refresh=False)
            self.bar.set_postfix_str(left, refresh=False)
            self.bar.update()

    def fold(self, fold: str, result: dict[str, Any]) -> None:
        """A fold was tested, now or by an earlier start; the epochs it left out need no time any more."""
        self.open.pop(fold, None)
        self.bar.total = self.bar.n + self.left
        scores = f"WA {100 * result['wa']:.1f} %, UA {100 * result['ua']:.1f} %"
        say(f"{fold}, speaker {result['test_speaker']}: {scores}")

    def close(self) -> None:
        self.bar.close()

    def _time(self, fold: str) -> None:
        """Count an epoch, but not a fold's first one here: in it the kernels may have been compiled."""
        if not self.heard:
            self.started = time.monotonic()
        elif fold in self.heard:
            self.timed += 1
        self.heard.add(fold)

    def _time_left(self) -> str:
        if self.timed == 0:
            return ""
        seconds = (time.monotonic() - self.started) / self.timed * self.left
        return f"{'at most' if self.alike else 'at this pace'} {math.ceil(seconds / 60)} min left"
