"""Table 6: the best model class by class, where annotators agree or disagree, and the effect of soft labels.

A column is a subset of the utterances and a choice: the model's first choice, its second choice, or the first choice of
a model trained with soft labels. A class's row counts the test sets of all folds together.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from scratchser.corpus.table import Corpus
from scratchser.paper import output, scores
from scratchser.paper.output import Output, Table
from scratchser.paper.sweep import Sweep, Variant
from scratchser.report.agreement import SUBSETS, Agreement, agreement
from scratchser.report.text import percent
from scratchser.runs.published import TABLE6

VARIANTS = (Variant("best"), Variant("softlab", change=lambda config: replace(config, soft_labels=True)))
CHOICES = {"1st": ("best", "predicted"), "2nd": ("best", "second"), "+softlab": ("softlab", "predicted")}
Value = Callable[[Agreement], float]


def check_corpus(corpus: Corpus) -> None:
    """Raises CorpusError for a corpus without annotators."""
    output.require_annotators(corpus, "table 6")


def build(sweep: Sweep) -> Output:
    """Rows and columns as in the paper."""
    classes = sweep.corpus.classes
    by_variant = {
        name: [agreement(run.record.predictions(), sweep.corpus) for run in of_seeds]
        for name, of_seeds in sweep.by_variant.items()
    }
    columns = [
        [of_seed[subset, choice] for of_seed in by_variant[name]]
        for subset in SUBSETS
        for name, choice in CHOICES.values()
    ]
    published: list[list[float]] = [[]] * (len(classes) + 2)  # a row for each class, then WA and UA
    if sweep.comparable_with_paper:
        published = [[n for subset in SUBSETS for n in TABLE6[subset][row]] for row in range(len(classes) + 2)]
    rows: list[tuple[str, ...]] = []

    def add(head: str, value: Value, paper: Sequence[float] = (), std: Value | None = None) -> None:
        """A row of means over the seeds, then its deviations and the paper's row."""
        values = np.array([[value(of_seed) for of_seed in column] for column in columns])
        rows.append((head, *map(percent, values.mean(axis=1))))
        if std:
            rows.append(("  std over folds", *(percent(float(np.mean([*map(std, column)]))) for column in columns)))
        if sweep.seeds > 1:
            rows.append(("  std over seeds", *(percent(scores.std(of_column)) for of_column in values)))
        if paper:
            rows.append(("  the paper's", *map(percent, paper)))

    for k, name in enumerate(classes):
        add(name, _recall(k), published[k])
    add("Weighted, mean over folds", lambda a: a.wa_folds, published[-2], lambda a: a.wa_std)
    add("Weighted, pooled", lambda a: a.wa)
    add("Unweighted, mean over folds", lambda a: a.ua_folds, published[-1], lambda a: a.ua_std)
    add("Unweighted, pooled", lambda a: a.ua)
    rows += [
        (f"utterances: {name}", *(str(column[0].counts[k]) for column in columns)) for k, name in enumerate(classes)
    ]
    without = sum(not u.votes for u in sweep.corpus.utterances)
    notes = (
        "1st: the class with the highest probability, 2nd: the next one; +softlab: 1st of a model with soft labels",
        "unanimous: every annotator chose the utterance's label; the row of a class pools all test sets",
        "Weighted and Unweighted: means over the folds that have such utterances, as the paper's two rows seem to be",
        "if a fold's utterances of a subset lack a class, its UA there is the mean over the other classes",
        *([f"{without} utterances without annotators are in no column"] if without else []),
        *scores.score_notes(sweep),
    )
    heads = tuple(f"{subset} {choice} %" for subset in SUBSETS for choice in CHOICES)
    title = f"Table 6: results per class and agreement of the annotators, {sweep.title}"
    return Output({"table6": Table(title, ("", *heads), rows, notes)})


def _recall(k: int) -> Value:
    return lambda found: float(found.recalls[k])
