"""A small corpus and runs on it with invented results, for tests of what is written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from scratchser.corpus.baselines import Baseline
from scratchser.corpus.readers.expected_counts import IMPROVISED_SPEAKERS, IMPROVISED_UNANIMOUS
from scratchser.corpus.split import Fold, make_folds
from scratchser.corpus.table import CLASSES, Corpus, Utterance
from scratchser.cv.prepare import Prepared
from scratchser.metrics import confusion
from scratchser.paper.sweep import Base, Sweep, Variant, base_for
from scratchser.presets import PRESETS, TUNED_ON
from scratchser.runs import result
from scratchser.runs import run as run_dir
from scratchser.runs.fold_dir import FoldDir
from scratchser.support.files import write_json, write_text

ENVIRONMENT = {"python": "3.11", "libraries": {"numpy": "2.0"}, "commit": None, "cpu": "one", "device": "cpu"}


def corpus(name: str = "csv", lacking: tuple[str, str] | None = None) -> Corpus:
    """Ten speakers with two or three utterances of each class; `lacking` = (speaker, class) has none."""
    rows = [
        Utterance(f"{speaker}_{word}_{i}", None, speaker, speaker[1], speaker[0], label)
        for speaker in IMPROVISED_SPEAKERS
        for label, word in enumerate(CLASSES)
        for i in range(2 + label % 2)
        if (speaker, word) != lacking
    ]
    return Corpus(name, CLASSES, tuple(sorted(rows, key=lambda u: u.name)))


def all_of_iemocap(votes: bool = False) -> Corpus:
    """As many utterances of each speaker and class as the improvised part of IEMOCAP has, and as many that are
    unanimous if there are votes."""
    left, rows = list(IMPROVISED_UNANIMOUS), []
    for speaker, counts in IMPROVISED_SPEAKERS.items():
        for label, (word, count) in enumerate(zip(CLASSES, counts, strict=True)):
            for i in range(count):
                given = ((word,), (word, "other"), (word if left[label] > 0 else "surprise",)) if votes else ()
                left[label] -= 1
                name = f"{speaker}_{label}_{i:03d}"
                rows.append(Utterance(name, None, speaker, speaker[1], speaker[0], label, given))
    return Corpus("iemocap", CLASSES, tuple(rows))


def settings(data: Corpus, folds: tuple[int, ...] = tuple(range(1, 11)), **changes: object) -> dict:
    """The settings of a run; `changes` go to run_dir.settings, a config of one's own too."""
    chosen = {"preset": "best", "seed": 3, **changes}
    config = chosen.pop("config", PRESETS[chosen["preset"]])
    return run_dir.settings(data, config, folds=folds, **chosen)


def rows(fold: int, epochs: int) -> list[dict]:
    """Metrics of a fold, different for every fold and epoch."""
    return [
        {
            "epoch": epoch,
            "train": {"loss": 1 / epoch, "wa": 0.5, "ua": 1 - 0.7 / epoch},
            "validation": {"loss": 1 / epoch + 0.01 * fold, "wa": 0.5, "ua": 0.8 - 0.5 / epoch + 0.01 * fold},
            "gradient_norms": {"conv1": 0.1},
            "learning_rate_factor": 1.0,
            "frames_per_second": 1000.0,
            "seconds": 0.5,
        }
        for epoch in range(1, epochs + 1)
    ]


def finish_fold(data: Corpus, fold: Fold, folder: FoldDir, seed: int = 0) -> dict:
    """Write the files of a finished fold, with random predictions."""
    rng = np.random.default_rng(fold.number + 1000 * seed)
    test = [u for u in data.utterances if u.speaker == fold.test]
    probabilities = rng.dirichlet(np.ones(4), len(test)).astype(np.float32)
    second, predicted = probabilities.argsort(axis=1).T[-2:]
    history = rows(fold.number, 4 + fold.number % 3)
    found = result.fold_result(
        fold,
        data.classes,
        confusion([u.label for u in test], predicted, 4),
        validation=history[2]["validation"],
        normalisation={"mean": 1.5, "scale": 0.25},
        best_epoch=3,
        epochs_run=len(history),
        seconds=2.0,
        frames_per_second=1000.0,
    )
    with folder.locked():
        folder.write_metrics(history)
        folder.write_predictions(data.classes, test, probabilities, predicted, second)
        folder.finish(found)
    return found


def baselines(folds: tuple[Fold, ...]) -> list[Baseline]:
    return [Baseline("majority", {fold.test: np.diag([fold.number, 1, 1, 1]) + 1 for fold in folds})]


def sweep(
    path: Path, variants: Sequence[Variant], data: Corpus, seeds: int = 1, base: Base | None = None, folds: int = 0
) -> Sweep:
    """The runs of a table, with different predictions and all folds finished, or only the first `folds`."""
    base = base or base_for(variants)
    chosen = make_folds(data)[: folds or None]
    planned = Sweep.plan(variants, base, Prepared(data, (), (), chosen), seeds, path)
    for seed, planned_run in enumerate(planned.runs):
        if planned_run.begun:
            continue
        with run_dir.open_run(planned_run.path, planned_run.settings, ENVIRONMENT, resume=False) as opened:
            for fold, folder in zip(chosen, opened.folds, strict=True):
                finish_fold(data, fold, folder, seed)
            found = result.result(
                opened.settings, opened.results(), baselines=baselines(chosen), tuned_on=TUNED_ON.get(data.name, ())
            )
            write_json(opened.path / "result.json", found)
            write_text(opened.path / "report.html", "made up")
    return planned


@contextmanager
def run(
    path: Path, data: Corpus, folds: tuple[int, ...] = tuple(range(1, 11)), **changes: object
) -> Iterator[run_dir.Run]:
    """An open run with all folds finished."""
    with run_dir.open_run(path, settings(data, folds, **changes), ENVIRONMENT, resume=False) as opened:
        by_number = {fold.number: fold for fold in make_folds(data)}
        for folder in opened.folds:
            finish_fold(data, by_number[folder.number], folder)
        yield opened
