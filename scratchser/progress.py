"""What a run says while it goes on: a bar with the time left on a terminal, plain lines in a log. All on stderr."""

import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def say(line: str) -> None:
    tqdm.write(line, file=sys.stderr)


def bar(items: Sequence[Item], what: str) -> Iterable[Item]:
    """The items, with a bar on a terminal."""
    return tqdm(items, what, file=sys.stderr, leave=False, disable=not sys.stderr.isatty())


class Epochs:
    """Progress over all epochs of all folds."""

    def __init__(self, folds: int, epochs: int) -> None:
        self.total, self.epochs, self.done = folds * epochs, epochs, 0
        self.started = time.monotonic()
        self.bar = tqdm(total=self.total, unit="epoch", file=sys.stderr, disable=not sys.stderr.isatty())

    def epoch(self, fold: int, row: dict[str, Any]) -> None:
        """A fold finished an epoch."""
        self.done += 1
        scores = f"loss {row['train']['loss']:.3f}, validation UA {row['validation']['ua']:.3f}"
        said = f"fold {fold} epoch {row['epoch']}/{self.epochs}: {scores}"
        if self.bar.disable:
            left = (time.monotonic() - self.started) / self.done * (self.total - self.done)
            print(f"{said}, at most {left / 60:.0f} min left", file=sys.stderr, flush=True)
        else:
            self.bar.set_description(said)
            self.bar.update()

    def fold(self, result: dict[str, Any]) -> None:
        """A fold was tested; the epochs it left out need no time any more."""
        missing = self.epochs - result["epochs_run"]
        self.total -= missing
        self.bar.total = self.total
        scores = f"WA {100 * result['wa']:.1f} %, UA {100 * result['ua']:.1f} %"
        say(f"fold {result['fold']}, speaker {result['test_speaker']}: {scores}")

    def close(self) -> None:
        self.bar.close()
