"""Baselines with an SVM on openSMILE's functionals: what a practitioner would try first. Needs the extra `baselines`.

eGeMAPS        88 functionals of the Geneva minimalistic acoustic parameter set, eGeMAPSv02
ComParE        6373 functionals of the ComParE challenge 2016

The SVM has an RBF kernel, C = 1 and balanced class weights. It learns from all speakers whom the fold does not test: it
needs no validation speaker. The features x are normalised to (x - mean) / deviation in one of two ways:

as recorded    with the statistics of the training speakers
per speaker    with those of all recordings of the same speaker, test speakers included, without their labels. This is
               transductive: it needs several recordings of a test speaker at once
"""

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np

from scratchser import metrics
from scratchser.corpus.audio import RATE, Progress
from scratchser.corpus.baselines import Baseline
from scratchser.corpus.features import mono
from scratchser.corpus.split import Fold
from scratchser.corpus.table import Corpus

SETS = {"eGeMAPS": "eGeMAPSv02", "ComParE": "ComParE_2016"}  # openSMILE's names
MISSING = "without the SVM baselines, which need openSMILE and scikit-learn: pip install -e '.[baselines]'"


def installed() -> bool:
    return all(find_spec(name) for name in ("opensmile", "sklearn"))


def evaluate(corpus: Corpus, folds: Sequence[Fold], progress: Progress = iter) -> tuple[Baseline, ...]:
    """The SVM on both sets with both normalisations. No wav file may be broken."""
    features = functionals(corpus, progress)
    return tuple(baseline for name, x in features.items() for baseline in of_features(name, x, corpus, folds))


def functionals(corpus: Corpus, progress: Progress = iter) -> dict[str, np.ndarray]:
    """The functionals of each set, (U, D) float64, of the mono sound at 16 kHz that the network gets too."""
    import opensmile

    level = opensmile.FeatureLevel.Functionals
    sets = {name: opensmile.Smile(opensmile.FeatureSet[of], level) for name, of in SETS.items()}
    rows: dict[str, list[np.ndarray]] = {name: [] for name in sets}
    for utterance in progress(corpus.utterances):
        sound = mono(*corpus.read(utterance))
        for name, smile in sets.items():
            rows[name].append(smile.process_signal(sound, RATE).to_numpy(np.float64)[0])
    return {name: np.array(values) for name, values in rows.items()}


def of_features(name: str, x: np.ndarray, corpus: Corpus, folds: Sequence[Fold]) -> tuple[Baseline, Baseline]:
    """The SVM on the features x (U, D) as recorded, then per speaker."""
    labels = np.array([u.label for u in corpus.utterances])
    speakers = np.array([u.speaker for u in corpus.utterances])
    own, K = per_speaker(x, speakers), len(corpus.classes)
    recorded: dict[str, np.ndarray] = {}
    normalised: dict[str, np.ndarray] = {}
    for fold in folds:
        test = np.isin(speakers, fold.tested)
        for values, confusions in ((standardised(x, ~test), recorded), (own, normalised)):
            predicted = classify(values[~test], labels[~test], values[test])
            for speaker in fold.tested:
                rows = speakers[test] == speaker
                confusions[speaker] = metrics.confusion(labels[test][rows], predicted[rows], K)
    return (
        Baseline(f"{name} + SVM, as recorded", recorded),
        Baseline(f"{name} + SVM, per speaker (transductive)", normalised),
    )


def classify(x: np.ndarray, labels: np.ndarray, test_x: np.ndarray) -> np.ndarray:
    """The classes of `test_x` (n, D), (n,) int64. `x` (m, D) and `labels` (m,) train."""
    from sklearn.svm import SVC

    if len(set(labels)) == 1:  # which SVC refuses
        return np.full(len(test_x), labels[0])
    return np.asarray(SVC(C=1.0, kernel="rbf", class_weight="balanced").fit(x, labels).predict(test_x))


def standardised(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """x (U, D) with mean 0 and standard deviation 1 over these rows (U,) bool; a feature that is constant becomes 0."""
    mean, deviation = x[rows].mean(axis=0), x[rows].std(axis=0)
    varies = deviation > 1e-10 * np.abs(mean)  # rounding alone deviates by less
    return np.where(varies, (x - mean) / np.where(varies, deviation, 1.0), 0.0)


def per_speaker(x: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """x (U, D) with mean 0 and standard deviation 1 over the rows of each of the speakers (U,)."""
    normalised = np.empty_like(x)
    for speaker in np.unique(speakers):
        own = speakers == speaker
        normalised[own] = standardised(x[own], np.full(own.sum(), True))
    return normalised
