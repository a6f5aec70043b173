"""What several annotators say about one utterance: section 3.3 of the paper.

An annotator may give several labels, some outside the classes. votes[a] are the labels of annotator a, each once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Votes = Sequence[Sequence[str]]


def unanimous(votes: Votes, label: str) -> bool:
    """True where every annotator's labels contain `label`, whatever else they contain.

    Raises ValueError where there are no annotators: agreement is then unknown, not perfect.
    """
    if not votes:
        raise ValueError("no annotators")
    return all(label in given for given in votes)


def soft_label(votes: Votes, classes: Sequence[str]) -> tuple[np.ndarray, float]:
    """The target distribution over the classes, (K,) float64, and the utterance's weight in the loss, in [0, 1].

    Each annotator spreads a mass of 1 evenly over all labels given. With m(c) the mean mass of class c over the
    annotators,

        weight = sum over the classes of m(c),    soft(c) = m(c) / weight

    so that mass on labels outside the classes lowers the weight. This reading gives the paper's table 5. Where nobody
    named any of the classes both are zero. Raises ValueError where there are no annotators or one of them gave no
    label.
    """
    if not votes or not all(votes):
        raise ValueError("no annotators" if not votes else "an annotator gave no label")
    mass = np.zeros(len(classes))  # of all annotators together, so that halves and wholes stay exact
    for given in votes:
        for label in given:
            if label in classes:
                mass[classes.index(label)] += 1.0 / len(given)
    total = float(mass.sum())
    return (mass / total if total > 0 else mass), total / len(votes)
