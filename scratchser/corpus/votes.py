"""Labels from several annotators, section 3.3 of the paper.

votes[a] are the labels that annotator a gave to an utterance: one or more, each once, perhaps outside the classes.
"""

from collections.abc import Sequence

import numpy as np

Votes = Sequence[Sequence[str]]


def unanimous(votes: Votes, label: str) -> bool:
    """True if the labels of every annotator contain `label`. Raises ValueError if there are no annotators."""
    if not votes:
        raise ValueError("no annotators")
    return all(label in labels for labels in votes)


def soft_label(votes: Votes, classes: Sequence[str]) -> tuple[np.ndarray, float]:
    """Returns the target distribution over the classes, (K,) float64, and the weight in the loss, in [0, 1].

    Each annotator spreads a mass of 1 evenly over all labels given. With m(c) the mean mass of class c over the
    annotators,

        weight = sum over the classes of m(c),    soft(c) = m(c) / weight

    so mass on labels outside the classes lowers the weight. This gives the paper's table 5. Both are zero if no
    annotator gave any of the classes. Raises ValueError if there are no annotators or one of them gave no label.
    """
    if not votes or not all(votes):
        raise ValueError("no annotators" if not votes else "an annotator gave no label")
    mass = np.zeros(len(classes))  # sum over the annotators: halves and wholes stay exact
    for labels in votes:
        for label in labels:
            if label in classes:
                mass[classes.index(label)] += 1.0 / len(labels)
    total = float(mass.sum())
    return (mass / total if total > 0 else mass), total / len(votes)
