"""Table 6: the best model class by class, where annotators agree and where they do not, and what soft labels change.

A column is a subset of the utterances and a choice: the class that the model holds for the likeliest, the next one, and
the likeliest of a model that was trained with soft labels. A class's row counts the test sets of all folds together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from scratchser.corpus.table import Corpus
from scratchser.paper import output, scores
from scratchser.paper.output import Output, Table
from scratchser.paper.scores import percent
from scratchser.paper.sweep import Runs, Setting
from scratchser.presets import Config
from scratchser.report.agreement import SUBSETS, Agreement, agreement
from scratchser.runs.published import TABLE6


def _soft(config: Config) -> Config:
    return replace(config, soft_labels=True)


SETTINGS = (Setting("best"), Setting("softlab", change=_soft))
Value = Callable[[Agreement], float]
CHOICES = {"1st": ("best", "predicted"), "2nd": ("best", "second"), "+softlab": ("softlab", "predicted")}


def need(corpus: Corpus) -> None:
    """Raises CorpusError for a corpus without annotators."""
    output.need_annotators(corpus, "table 6")


def build(runs: Runs) -> Output:
    """In the paper's shape; its figures below ours where they may stand there."""
    made = {
        name: [agreement(run.record.predictions(), runs.data) for run in runs.of[name]] for name in ("best", "softlab")
    }
    columns = [(subset, *choice) for subset in SUBSETS for choice in CHOICES.values()]
    found = [[seed[subset, choice] for seed in made[setting]] for subset, setting, choice in columns]
    paper = _of_the_paper(len(runs.data.classes)) if runs.of_the_paper else {}
    rows: list[tuple[str, ...]] = []

    def add(name: str, value: Value, theirs: Sequence[float] = (), std: Value | None = None) -> None:
        """A row of means over the seeds, and those that belong under it."""
        values = [[value(seed) for seed in column] for column in found]
        rows.append((name, *(percent(float(np.mean(column))) for column in values)))
        if std:
            stds = [float(np.mean([std(seed) for seed in column])) for column in found]
            rows.append(("  std over folds", *map(percent, stds)))
        if runs.seeds > 1:
            rows.append(("  std over seeds", *(percent(scores.deviation(column)) for column in values)))
        if theirs:
            rows.append(("  the paper's", *map(percent, theirs)))

    for place, name in enumerate(runs.data.classes):
        add(name, _recall(place), paper.get(place, ()))
    add("Weighted, mean over folds", lambda a: a.wa_folds, paper.get("wa", ()), lambda a: a.wa_std)
    add("Weighted, pooled", lambda a: a.wa)
    add("Unweighted, mean over folds", lambda a: a.ua_folds, paper.get("ua", ()), lambda a: a.ua_std)
    add("Unweighted, pooled", lambda a: a.ua)
    counts = [[int(column[0].counts[place]) for column in found] for place in range(len(runs.data.classes))]
    rows += [(f"utterances: {name}", *map(str, row)) for name, row in zip(runs.data.classes, counts, strict=True)]
    notes = (
        "1st: the class that the model holds for the likeliest, 2nd: the next one; +softlab: 1st of a model trained"
        " with soft labels",
        "unanimous: every annotator's labels contain the utterance's label; a class's row pools all test sets",
        "Weighted and Unweighted: means over the folds that have such utterances, as the paper's two rows seem to be",
        "where a fold's utterances of a subset lack a class, its UA there is the mean over the other classes",
        *_unheard(runs.data),
        *scores.legend(runs),
    )
    heads = tuple(f"{subset} {choice} %" for subset in SUBSETS for choice in CHOICES)
    title = f"Table 6: per-class performance where annotators agree, {runs.title}"
    return Output({"table6": Table(title, ("", *heads), tuple(rows), notes)})


def _recall(place: int) -> Value:
    return lambda found: float(found.recalls[place])


def _of_the_paper(K: int) -> dict[int | str, list[float]]:
    """Its figures in the order of our columns, by the place of a class, "wa" and "ua"."""
    names: list[int | str] = [*range(K), "wa", "ua"]
    return {
        name: [TABLE6[subset][row][place] for subset in SUBSETS for place in range(len(CHOICES))]
        for row, name in enumerate(names)
    }


def _unheard(corpus: Corpus) -> tuple[str, ...]:
    number = sum(not u.votes for u in corpus.utterances)
    return (f"{number} utterances without annotators are in no column",) * (number > 0)
