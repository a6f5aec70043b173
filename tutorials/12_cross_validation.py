"""
12. Cross-validation
====================

How good is a model for a speaker who was not in its training data? You will see the two measures WA
and UA, leave-one-speaker-out cross-validation, and why the paper uses ten folds and not five. You
will measure four leaks. A leak is a way in which the test data influence the training or the choice
of the model, so that the score is too high. At the end you will compute a confidence interval of a
score and of a difference.

Everything here is a small experiment that runs in seconds. You need none of the earlier models,
only the idea of a model: something that is trained and then tested.
"""

# %%
# WA and UA
# ---------
#
# **Weighted accuracy** (WA) is the share of all utterances that are classified correctly.
# **Unweighted accuracy** (UA) is the mean of the recalls of the classes, so every class counts the
# same, however rare it is. The IEMOCAP corpus, as the paper uses it, has 1099 neutral, 284 happy,
# 608 sad and 289 angry utterances. A "model" always answers "neutral". What are its WA and its UA?

from itertools import product

import matplotlib.pyplot as plt
import numpy as np

from scratchser import metrics
from scratchser.corpus import synthetic
from scratchser.corpus.split import make_folds

COUNTS = 1099, 284, 608, 289
CLASSES = "neutral", "happiness", "sadness", "anger"


# sphinx_gallery_start_ignore
def draw_confusions(matrices):
    _, axes = plt.subplots(1, len(matrices), figsize=(8, 3.4), layout="constrained")
    for axis, (name, matrix) in zip(axes, matrices.items(), strict=True):
        axis.imshow(matrix / matrix.sum(axis=1, keepdims=True), cmap="Blues", vmin=0, vmax=1)
        for i in range(4):
            for j in range(4):
                share = matrix[i, j] / matrix[i].sum()
                axis.text(j, i, matrix[i, j], ha="center", va="center", color="white" if share > 0.6 else "black")
        axis.set_xticks(range(4), [c[:3] for c in CLASSES])
        axis.set_yticks(range(4), [c[:3] for c in CLASSES])
        axis.set(xlabel="predicted", ylabel="label")
        axis.set_title(f"{name}\nWA {metrics.wa(matrix):.1%}, UA {metrics.ua(matrix):.1%}", fontsize=11)


# sphinx_gallery_end_ignore
labels = np.repeat(np.arange(4), COUNTS)
always_neutral = metrics.confusion(labels, np.zeros(len(labels), int), 4)
half_right = np.random.default_rng(0).random(len(labels)) < 0.5
fair = metrics.confusion(labels, np.where(half_right, labels, (labels + 1) % 4), 4)
draw_confusions({"always neutral": always_neutral, "half of each class": fair})
plt.show()
assert round(metrics.wa(always_neutral), 3) == 0.482
assert metrics.ua(always_neutral) == 0.25

# %%
# The left model has a WA of 48 %, although it has learned nothing. The right one classifies half of
# each class correctly, and both its measures are about 50 %. That is why we report both, and why UA
# is the main one. In these figures, called confusion matrices, UA is the mean of the diagonal after
# every row is divided by its sum.
#
# A test on a known speaker measures memory
# -----------------------------------------
#
# We simulate ten speakers with 30 utterances each. An utterance has 20 features. Each is a sum of
# three parts: one that depends on the emotion only, one that is this speaker's own way to express
# this emotion, and noise. The classifier looks for the most similar training utterance and copies
# its label.
#
# We split the utterances in two ways. *At random* into ten parts, as for most data sets, or *by
# speaker*. Which score will be higher, and which one answers the question at the top of this page?

SPEAKERS, EACH, D = 10, 30, 20
speaker = np.repeat(np.arange(SPEAKERS), EACH)
rng = np.random.default_rng(12)
y = rng.integers(0, 4, SPEAKERS * EACH)
common = 0.5 * rng.standard_normal((4, D))
own_way = 0.8 * rng.standard_normal((SPEAKERS, 4, D))
x = common[y] + own_way[speaker, y] + rng.standard_normal((len(y), D))


def nearest(parts):
    """UA of each part, with the nearest training utterance as the answer."""
    scores = []
    for part in np.unique(parts):
        train, test = np.flatnonzero(parts != part), np.flatnonzero(parts == part)
        distances = np.linalg.norm(x[test, None] - x[train], axis=2)
        predicted = y[train[distances.argmin(axis=1)]]
        scores.append(metrics.ua(metrics.confusion(y[test], predicted, 4)))
    return np.array(scores)


# sphinx_gallery_start_ignore
def draw_bars(scores, width=8):
    _, axis = plt.subplots(figsize=(width, 0.7 + 0.5 * len(scores)), layout="constrained")
    for n, folds in enumerate(scores.values()):
        axis.barh(n, 100 * folds.mean(), 0.6, color=f"C{n}", alpha=0.5)
        axis.plot(100 * folds, np.full(len(folds), n), "|", color="black", ms=9)
        axis.text(101, n, f"{folds.mean():.1%}", va="center")
    axis.axvline(25, color="black", lw=0.8, ls=":")
    axis.set_yticks(range(len(scores)), scores)
    axis.invert_yaxis()
    axis.set(xlim=(0, 100), xlabel="UA, %: mean (bar) and folds (lines); dotted: chance")
    axis.spines[["top", "right"]].set_visible(False)


# sphinx_gallery_end_ignore
at_random = nearest(np.random.default_rng(0).permutation(speaker))
by_speaker = nearest(speaker)
print(f"split at random: UA {at_random.mean():.1%}, by speaker: {by_speaker.mean():.1%}")
draw_bars({"at random": at_random, "by speaker": by_speaker})
plt.show()
assert at_random.mean() > by_speaker.mean() + 0.15

# %%
# This is the first leak, and the largest one. With the random split the classifier finds another
# utterance of the *same* speaker. It recognises the speaker's own way, which does not help with
# other speakers. Published results with a random split are not comparable with those of this
# project.
#
# Ten folds
# ---------
#
# IEMOCAP has five sessions, each with a woman and a man who talk to each other. In
# **leave-one-speaker-out** (LOSO) cross-validation, each speaker is the **test** speaker of one
# fold. The other speaker of the session is the **validation** speaker, whose score decides when the
# training stops. The eight speakers of the other four sessions are for training. So the training
# data contain no voice and no conversation of the test.


# sphinx_gallery_start_ignore
def draw_folds(folds):
    names = [fold.test for fold in folds]
    _, axis = plt.subplots(figsize=(8, 3.6), layout="constrained")
    colours = {"test": "tab:red", "validation": "tab:orange", "training": "0.85"}
    for row, fold in enumerate(folds):
        for column, name in enumerate(names):
            role = "test" if name == fold.test else "validation" if name == fold.validation else "training"
            axis.add_patch(plt.Rectangle((column - 0.46, row - 0.44), 0.92, 0.88, fc=colours[role]))
            axis.text(column, row, role[:5], ha="center", va="center", fontsize=8)
    axis.set(xlim=(-0.6, len(names) - 0.4), ylim=(len(folds) - 0.5, -0.5), xlabel="speaker", ylabel="fold")
    axis.set_xticks(range(len(names)), names)
    axis.set_yticks(range(len(folds)), [fold.number for fold in folds])
    axis.spines[:].set_visible(False)


# sphinx_gallery_end_ignore
folds = make_folds(synthetic.load(size=20))  # the built-in corpus also has five sessions
for fold in folds:
    assert fold.test[0] == fold.validation[0]
    assert fold.test[0] not in {name[0] for name in fold.train}
    assert len(fold.train) == 8
assert len({fold.test for fold in folds}) == 10
draw_folds(folds)
plt.show()

# %%
# Why ten and not five?
# ---------------------
#
# Many papers use five folds, one for each session. Then one has to choose whether to test the woman
# or the man of each session, and there are :math:`2^5 = 32` ways to choose. The paper's table 2 has
# the scores of all ten folds. So we can compute all 32 results **of the same trained models**. How
# far apart will they be? Guess.

# a row for each session, a column for the woman and one for the man
WA = np.array([64.1, 68.8, 70.3, 62.0, 64.8, 66.4, 68.5, 64.3, 64.8, 51.0]).reshape(5, 2)
UA = np.array([66.4, 67.7, 71.3, 67.6, 52.1, 56.0, 59.7, 67.3, 64.2, 44.2]).reshape(5, 2)
ways = list(product((0, 1), repeat=5))
wa32 = np.array([WA[range(5), way].mean() for way in ways])
ua32 = np.array([UA[range(5), way].mean() for way in ways])


# sphinx_gallery_start_ignore
def draw_ways():
    _, axis = plt.subplots(figsize=(8, 3.4), layout="constrained")
    axis.plot(wa32, ua32, "o", alpha=0.6, label="32 ways to choose five folds")
    axis.plot(WA.mean(), UA.mean(), "*", color="tab:red", ms=16, label="all ten folds")
    axis.set(xlabel="WA, %", ylabel="UA, %")
    axis.legend(frameon=False, loc="upper left")


# sphinx_gallery_end_ignore
print(f"WA: ten folds {WA.mean():.1f}, five folds {wa32.min():.1f} to {wa32.max():.1f}")
print(f"UA: ten folds {UA.mean():.1f}, five folds {ua32.min():.1f} to {ua32.max():.1f}")
assert (round(wa32.min(), 1), round(wa32.max(), 1)) == (61.2, 67.8)
assert (round(ua32.min(), 1), round(ua32.max(), 1)) == (58.0, 65.3)
draw_ways()
plt.show()

# %%
# The scores differ by seven points, although the models are the same. All columns of the paper's
# table 1, with and without its improvements, lie within four points. With ten folds there is
# nothing to choose.
#
# A classifier that is trained in epochs
# --------------------------------------
#
# For the other leaks we need a model that changes from epoch to epoch. It is a dense layer with a
# softmax, trained with the cross-entropy in a few lines of NumPy.

EPOCHS = 40


def epochs_of(x, y, rows):
    """Predictions (EPOCHS, U) for all utterances, after each epoch of training."""
    rng = np.random.default_rng(0)
    x = np.column_stack([x, np.ones(len(x))])  # the last column's weights are the biases
    W, v = np.zeros((x.shape[1], 4)), np.zeros((x.shape[1], 4))
    predictions = []
    for _ in range(EPOCHS):
        for batch in np.array_split(rng.permutation(rows), len(rows) // 40):
            e = np.exp(x[batch] @ W)
            p = e / e.sum(axis=1, keepdims=True)
            v = 0.9 * v - 0.1 * x[batch].T @ (p - np.eye(4)[y[batch]]) / len(batch)
            W = W + v
        predictions.append((x @ W).argmax(axis=1))
    return np.array(predictions)


# %%
# ``fold_scores`` trains ten folds and returns the UA of the test and of the validation speaker
# after every epoch. Speakers 0 and 1 are a session, speakers 2 and 3 the next one, and so on.


def ua(labels, predicted):
    return metrics.ua(metrics.confusion(labels, predicted, 4))


def fold_scores(x, y, normalise):
    """UA of test and validation speaker: two arrays (10 folds, EPOCHS)."""
    scores = np.empty((2, SPEAKERS, EPOCHS))
    for test in range(SPEAKERS):
        validation = test ^ 1  # the other one of the session
        rows = np.flatnonzero((speaker != test) & (speaker != validation))
        predictions = epochs_of(normalise(x, y, rows), y, rows)
        for n, who in enumerate((test, validation)):
            own = speaker == who
            scores[n, test] = [ua(y[own], p[own]) for p in predictions]
    return scores


def by_training(x, y, rows):
    """Mean and standard deviation of each feature over the training utterances."""
    return (x - x[rows].mean(axis=0)) / x[rows].std(axis=0)


# %%
# Leak: the test speaker chooses the epoch
# ----------------------------------------
#
# Is it harmless to report the best epoch *according to the test score*? We measure it on features
# that are independent of the label. There is **nothing to learn**, so every honest score is 25 % on
# average. What will the leak report?


# sphinx_gallery_start_ignore
def draw_epochs(test):
    _, axis = plt.subplots(figsize=(8, 3.2), layout="constrained")
    epochs = np.arange(1, EPOCHS + 1)
    best = np.maximum.accumulate(test, axis=1)
    axis.plot(epochs, 100 * best.mean(axis=0), color="tab:red", label="best test score so far")
    axis.plot(epochs, 100 * test.mean(axis=0), color="tab:blue", label="test score of this epoch")
    axis.axhline(25, color="black", lw=0.8, ls=":", label="chance")
    axis.set(xlabel="epoch", ylabel="UA, %, mean of ten folds", ylim=(15, 42))
    axis.legend(frameon=False, loc="upper left")


# sphinx_gallery_end_ignore
nothing = np.random.default_rng(1).standard_normal((len(y), D))
test, validation = fold_scores(nothing, y, by_training)
honest = test[np.arange(10), validation.argmax(axis=1)].mean()
leaked = test.max(axis=1).mean()
print(f"UA, epoch chosen by the validation speaker: {honest:.1%}")
print(f"    epoch chosen by the test speaker:       {leaked:.1%}")
draw_epochs(test)
plt.show()
assert abs(honest - 0.25) < 0.08
assert leaked > 0.30

# %%
# The first score agrees with 25 %: a mean of ten such scores varies by about 2.5 points. The second
# is a mean of *maxima*, and a maximum of many guesses is above the mean. The same holds for every
# other choice by the test score: a learning rate, a model, a seed.
#
# Leak: normalisation with the test speaker
# -----------------------------------------
#
# Eq. (5) of the paper normalises the features by a mean and a standard deviation "over the whole
# dataset". The dataset contains the test speaker. Now there is something to learn: each class has
# its own mean, and each speaker adds an offset, like a voice or a microphone.

of_class = 0.5 * rng.standard_normal((4, D))
of_speaker = 0.8 * rng.standard_normal((SPEAKERS, D))
x = of_class[y] + of_speaker[speaker] + rng.standard_normal((len(y), D))


def by_whole_corpus(x, y, rows):
    return (x - x.mean(axis=0)) / x.std(axis=0)


# %%
# Is it really a leak? We make the test speaker's utterances louder, by adding a number to all
# features. Do the *training* data change?

rows = np.flatnonzero(speaker >= 2)  # speaker 0 tests, 1 validates
louder = x + 6 * (speaker == 0)[:, None]
for normalise in (by_training, by_whole_corpus):
    change = np.abs(normalise(louder, y, rows)[rows] - normalise(x, y, rows)[rows]).mean()
    print(f"{normalise.__name__:16} the training data change by {change:.2f}")
    assert (change == 0) == (normalise is by_training)
scores = {"training speakers": fold_scores(x, y, by_training)[0, :, -1]}
scores["whole corpus (leak)"] = fold_scores(x, y, by_whole_corpus)[0, :, -1]
for name, found in scores.items():
    print(f"statistics of the {name:20} UA {found.mean():.1%}")
gain = scores["whole corpus (leak)"].mean() - scores["training speakers"].mean()
assert abs(gain) < 0.03

# %%
# This leak is real, but here it gains less than a point: the test speaker is only one of ten in the
# statistics. We close it nevertheless, because the size of a leak is unknown until it is closed.
#
# Normalisation of each speaker: what it may use
# ----------------------------------------------
#
# The offset of a speaker makes the task hard. Why not subtract the mean of each speaker's own
# utterances, also for the test speaker? There are three different ways, and they are not the same
# task:
#
# - **all recordings of the test speaker, without labels**. No label is used, so this is not a leak,
#   if it is reported. But it is another task, called *transductive*: the answer for the first
#   recording has to wait for the last one. The preset ``mel-speaker`` does this.
# - **the first few recordings, without labels**. This is possible in an application, after a short
#   time.
# - **the neutral recordings**. One has to know which recordings of the test speaker are neutral,
#   and this is a *label*. So it is a leak.
#
# We measure the first and the third now, and the second in the next cell. Which will give the
# highest score?


def by_each_speaker(use):
    """Normalisation with the mean of a speaker's utterances, where `use` is True."""

    def normalise(x, y, rows):
        normalised = by_training(x, y, rows)
        for s in range(SPEAKERS):
            own = speaker == s
            normalised[own] -= normalised[own & use].mean(axis=0)
        return normalised

    return normalise


number = np.tile(np.arange(EACH), SPEAKERS)  # of an utterance, within its speaker's
scores["own, all, no labels"] = fold_scores(x, y, by_each_speaker(number >= 0))[0, :, -1]
scores["own, neutral (leak)"] = fold_scores(x, y, by_each_speaker(y == 0))[0, :, -1]
for name, found in scores.items():
    print(f"{name:20} UA {found.mean():.1%}")
draw_bars(scores)
plt.show()
assert scores["own, all, no labels"].mean() > scores["training speakers"].mean() + 0.03
assert scores["own, neutral (leak)"].mean() > scores["training speakers"].mean()

# %%
# Both gain more than fifteen points. Here the mean of all recordings gains the most. It has four
# times as many recordings as the mean of the neutral ones, so it contains less noise.
#
# How many recordings does the mean need? And what if a test speaker's recordings are mostly of one
# emotion? Then the mean contains this emotion, and subtracting it removes what we look for. So the
# mean depends on the mixture of the classes, a property of the *labels* of the test set, although
# no label was read. We measure both: the mean of the first n recordings, and the mean of the first
# n when the angry ones come first.

COUNTED = 1, 2, 4, 8, 15, 30
rank = np.empty_like(number)  # of an utterance, if the speaker's angry ones come first
for s in range(SPEAKERS):
    order = np.argsort(y[speaker == s] != 3, kind="stable")
    rank[speaker == s] = np.argsort(order)


def first_of_test(order, n):
    """UA of each fold if the test speaker's mean is that of the first n recordings."""
    found = []
    for test in range(SPEAKERS):
        own = speaker == test
        use = ~own | (order < n)  # of the training speakers all recordings
        rows = np.flatnonzero(speaker // 2 != test // 2)
        predicted = epochs_of(by_each_speaker(use)(x, y, rows), y, rows)[-1]
        found.append(ua(y[own], predicted[own]))
    return np.array(found)


mixed = {n: first_of_test(number, n) for n in COUNTED}
angry_first = {n: first_of_test(rank, n) for n in COUNTED}


# sphinx_gallery_start_ignore
def draw_counted():
    _, axis = plt.subplots(figsize=(8, 3.2), layout="constrained")
    axis.semilogx(COUNTED, [100 * mixed[n].mean() for n in COUNTED], "o-", label="all emotions mixed")
    axis.semilogx(COUNTED, [100 * angry_first[n].mean() for n in COUNTED], "s--", label="the angry ones first")
    reference = 100 * scores["training speakers"].mean()
    axis.axhline(reference, color="black", lw=0.8, ls=":", label="no normalisation by speaker")
    axis.set_xticks(COUNTED, COUNTED)
    axis.minorticks_off()
    axis.set(xlabel="recordings of the test speaker in the mean", ylabel="UA, %")
    axis.legend(frameon=False)


# sphinx_gallery_end_ignore
print("recordings  mixed  angry first")
for n in COUNTED:
    print(f"{n:10}  {mixed[n].mean():.1%}  {angry_first[n].mean():11.1%}")
draw_counted()
plt.show()
assert mixed[1].mean() < scores["training speakers"].mean() < mixed[30].mean()
assert all(angry_first[n].mean() < mixed[n].mean() for n in COUNTED[:-1])
assert scores["own, neutral (leak)"].mean() > mixed[8].mean() + 0.03

# %%
# One recording is worse than nothing: its mean is mostly noise. Eight recordings gain nine points.
# A speaker has about seven neutral recordings, and with the mean of these we gained sixteen. So the
# leaked labels are worth about seven points here.
#
# The package mixes a speaker's statistics with those of the training speakers, as if ten seconds of
# the training speakers were added (``scratchser/corpus/normalisation.py``). So a short recording
# does little harm.
#
# A confidence interval over the folds
# ------------------------------------
#
# Ten folds give ten scores, of ten speakers. If we had ten other speakers, the mean would be
# different. By how much? If the folds' scores :math:`s_1 \dots s_{10}` were independent and
# normally distributed, Student's t interval would contain the true mean in 95 of 100 experiments,
# with the mean :math:`\bar s` and the standard deviation :math:`\mathrm{sd}(s)` of the ten scores:
#
# .. math:: \bar s \pm t_{0.975,\,9} \, \frac{\mathrm{sd}(s)}{\sqrt{10}},
#           \qquad t_{0.975,\,9} = 2.26

for name, table in (("WA", WA), ("UA", UA)):
    interval = metrics.interval(table.ravel())
    ends = f"{interval.low:.1f} to {interval.high:.1f}"
    print(f"the paper's {name}: {interval.mean:.1f}, 95 % interval {ends}")
assert interval.high - interval.low > 10

# %%
# The interval of the paper's UA is twelve points wide. Is "95 %" true? We can test it: we draw ten
# speakers from a population with a known mean, again and again. How many of 40 intervals do you
# expect to miss the mean?


# sphinx_gallery_start_ignore
def draw_intervals(intervals, true_mean):
    _, axis = plt.subplots(figsize=(8, 3), layout="constrained")
    for n, interval in enumerate(intervals):
        colour = "tab:blue" if interval.covers(true_mean) else "tab:red"
        axis.plot([n, n], [interval.low, interval.high], color=colour, lw=2)
        axis.plot(n, interval.mean, ".", color=colour)
    axis.axhline(true_mean, color="black", lw=0.8)
    axis.set(xlabel="experiment with ten new speakers", ylabel="UA, %")


# sphinx_gallery_end_ignore
draws = np.random.default_rng(5)
intervals = [metrics.interval(draws.normal(61.7, 8.6, 10)) for _ in range(2000)]
covered = np.mean([interval.covers(61.7) for interval in intervals])
print(f"{covered:.1%} of 2000 intervals contain the true mean")
draw_intervals(intervals[:40], 61.7)
plt.show()
assert abs(covered - 0.95) < 0.015

# %%
# Four of the 40 intervals miss the mean, where we expect two: 40 are few. Of all 2000, 4.2 % miss
# it.
#
# For real folds the interval is a guide, not a guarantee. The folds are not independent, because
# any two of them share most of their training speakers. And the interval covers only the choice of
# the speakers: it says nothing about another seed, another corpus, or a setting that was tuned on
# these same folds.
#
# A difference between two models
# -------------------------------
#
# Two models are tested on the *same* speakers. A hard speaker is hard for both. So take the
# difference in each fold first, and then the interval of the ten differences. Our first model sees
# only 16 of the 20 features, our second one all of them. Both are normalised over each speaker's
# own recordings. Do their intervals overlap?


# sphinx_gallery_start_ignore
def draw_difference(first, second):
    _, (left, right) = plt.subplots(1, 2, figsize=(8, 3.3), layout="constrained", width_ratios=(1.3, 1))
    for fold in range(10):
        left.plot([0, 1], 100 * np.array([first[fold], second[fold]]), "o-", color="0.6", ms=5)
    for n, found in enumerate((first, second)):
        interval = metrics.interval(100 * found)
        left.errorbar(
            n + (0.15 if n else -0.15), interval.mean, interval.high - interval.mean, fmt="s", capsize=5, lw=2
        )
    left.set_xticks([0, 1], ["16 features", "20 features"])
    left.set(xlim=(-0.5, 1.5), ylabel="UA, %")
    left.set_title("the folds, and an interval for each model", fontsize=10)
    interval = metrics.interval(100 * (second - first))
    right.plot(np.zeros(10), 100 * (second - first), "o", color="0.6", ms=5)
    right.errorbar(0.2, interval.mean, interval.high - interval.mean, fmt="s", color="tab:green", capsize=5, lw=2)
    right.axhline(0, color="black", lw=0.8)
    right.set(xlim=(-0.5, 0.7), xticks=[], ylabel="difference of UA, points")
    right.set_title("the difference in each fold", fontsize=10)


# sphinx_gallery_end_ignore
all_own = by_each_speaker(number >= 0)
first = fold_scores(x[:, :16], y, all_own)[0, :, -1]
second = scores["own, all, no labels"]
compared = {"16 features": first, "20 features": second, "difference": second - first}
for name, found in compared.items():
    interval = metrics.interval(100 * found)
    ends = f"{interval.low:5.1f} to {interval.high:5.1f}"
    print(f"{name:12} {interval.mean:5.1f}, 95 % interval {ends}")
draw_difference(first, second)
plt.show()
assert metrics.interval(first).high > metrics.interval(second).low
assert metrics.interval(second - first).low > 0

# %%
# The two intervals on the left overlap. That says little, because they are wide for another reason:
# some speakers are harder than others. The interval of the differences answers the question. It is
# narrower, and it does not contain 0. ``python -m scratchser.report`` compares runs in this way,
# fold by fold.
#
# What to try
# -----------
#
# 1. Which five folds give the highest UA of the paper, 65.3? Is this choice one of the leaks?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       ``UA.argmax(axis=1)``: the man, the woman, the man, the man, the woman. To choose by the
#       test score is the leak of the epochs again.
#
# 2. Every speaker is the validation speaker once. Is it a leak to choose a learning rate by the
#    mean of all ten validation scores?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       Yes. These ten speakers are also the ten test speakers, so the learning rate suits them. We
#       choose settings on the speakers of two sessions, and report the others separately.
#
# 3. Is oversampling before the split a leak?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       With a random split it is: a copy of a test utterance may train. With a split by speaker,
#       all copies are on the same side. The package oversamples the training speakers only, after
#       the split.
#
# 4. In the experiment with nothing to learn, train for 100 epochs instead of 40. Does the leak
#    grow?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       A little, while the predictions still change. A maximum over more guesses is higher. When
#       the training has converged, more epochs add no new guesses.
#
# **Your turn.** Run ten folds of the built-in corpus, with all these leaks closed. With IEMOCAP's
# folder and ``--preset best``, the same command is the paper's experiment::
#
#     python -m scratchser.cv
