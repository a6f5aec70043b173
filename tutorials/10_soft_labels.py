"""
10. Soft labels
===============

You will see where a label comes from: three annotators, who may give several labels each and who
often disagree. You will turn their answers into a hard label, a soft label and a weight, and see
how a soft label changes the loss, its gradient and the best possible output.

You need the loss that tutorial 9 minimised. This tutorial explains where its targets come from.
"""

# %%
# Three people listen
# -------------------
#
# In the IEMOCAP corpus, three annotators listened to each utterance and chose one or more emotions
# from a list. The list is longer than the four classes of the paper. These are the examples of the
# paper's table 5. ("Other" in its last row stands for two labels in the release, disgust and
# frustration.)

from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import log_softmax

from scratchser import reference
from scratchser.corpus import synthetic
from scratchser.corpus.table import CLASSES
from scratchser.corpus.votes import soft_label, unanimous
from scratchser.gradcheck import check, complex_step, require
from scratchser.kernels import softmax

VOTES = {
    "Ses01F_impro05_M020": (["frustration"], ["neutral", "sadness"], ["neutral"]),
    "Ses02M_impro08_F023": (["happiness"], ["happiness"], ["neutral"]),
    "Ses02M_impro06_M012": (["sadness", "anger"], ["sadness"], ["sadness"]),
    "Ses01F_impro01_M011": (["anger"], ["disgust", "anger"], ["frustration"]),
}
for name, votes in VOTES.items():
    print(name, *(" + ".join(labels) for labels in votes), sep=" | ")

# %%
# The hard label
# --------------
#
# The **hard label** is the label that at least two annotators gave, if there is exactly one such
# label. All other information is lost. What are the four hard labels? Write them down first.


def hard_label(votes):
    labels = {label for given in votes for label in given}
    agreed = [label for label in labels if sum(label in given for given in votes) >= 2]
    return agreed[0] if len(agreed) == 1 else None


hard = [hard_label(votes) for votes in VOTES.values()]
print(*hard, sep="\n")
assert hard == ["neutral", "happiness", "sadness", "anger"]

# %%
# Do the annotators agree?
# ------------------------
#
# An utterance is **unanimous** if the labels of every annotator *contain* the hard label. Otherwise
# it is **ambiguous**. Someone who answers "sadness and anger" still agrees on sadness. Which of the
# four utterances is unanimous?

agreed = [unanimous(votes, hard_label(votes)) for votes in VOTES.values()]
for name, yes in zip(VOTES, agreed, strict=True):
    print(name, "unanimous" if yes else "ambiguous")
assert agreed == [False, False, True, False]

# %%
# The soft label and its weight
# -----------------------------
#
# Each annotator has one vote and spreads it evenly over all labels given, also over those outside
# the four classes. Let m(c) be the mean vote for class c over the annotators. Then
#
# .. math:: \mathrm{weight} = \sum_c m(c), \qquad \mathrm{soft}(c) = \frac{m(c)}{\mathrm{weight}}
#
# where c runs over the four classes only. Take the first utterance. The first annotator chose
# frustration, outside the four classes. The second one gives half a vote to neutral and half to
# sadness, and the third one a whole vote to neutral. So m is 1.5 / 3 = 1/2 for neutral and 0.5 / 3
# = 1/6 for sadness. The weight is 1/2 + 1/6 = 2/3, and the soft label is 3/4 neutral and 1/4
# sadness.
#
# The **soft label** is the distribution of the votes within the four classes. The **weight** is the
# part of all votes that these classes got. So votes for other emotions make the utterance count
# less, but they do not change the target. Compute the second utterance by hand, then run the cell.


# sphinx_gallery_start_ignore
COLOURS = ("tab:gray", "gold", "tab:blue", "tab:red")


def draw_votes():
    others = "white"
    colour = dict(zip(CLASSES, COLOURS, strict=True))
    figure, axes = plt.subplots(1, 2, figsize=(8, 4), sharey=True, layout="constrained", width_ratios=(1.25, 1))
    for row, votes in enumerate(VOTES.values()):
        for annotator, labels in enumerate(votes):
            for part, label in enumerate(labels):
                width = 1 / len(labels)
                left = annotator * 1.08 + part * width
                axes[0].barh(row, width, 0.6, left=left, fc=colour.get(label, others), ec="black")
                if label not in colour:
                    axes[0].text(left + width / 2, row, label, ha="center", va="center", fontsize=7)
        soft, weight = soft_label(votes, CLASSES)
        axes[1].barh(row, soft, 0.6 * weight, left=np.cumsum(soft) - soft, color=COLOURS, ec="black")
        axes[1].text(1.03, row, f"{weight:.2f}", va="center")
    axes[0].set_yticks(range(len(VOTES)), [f"{name[:6]}\n{name[7:]}" for name in VOTES], fontsize=9)
    axes[0].invert_yaxis()
    axes[0].set_xticks([0.5, 1.58, 2.66], [f"annotator {n}" for n in (1, 2, 3)])
    axes[0].set_title("votes", fontsize=11)
    axes[1].set(xlim=(0, 1.2), xticks=(0, 0.5, 1), xlabel="soft label")
    axes[1].set_title("soft label, and weight (height, number)", fontsize=11)
    for axis in axes:
        axis.spines[["top", "right", "left"]].set_visible(False)
    handles = [plt.Rectangle((0, 0), 1, 1, fc=c) for c in COLOURS]
    figure.legend(handles, CLASSES, ncols=4, frameon=False, loc="outside lower center")


# sphinx_gallery_end_ignore
PRINTED = [  # the paper's table 5: soft labels and weights
    ((0.75, 0, 0.25, 0), 0.67),
    ((0.33, 0.67, 0, 0), 1),
    ((0, 0, 0.83, 0.17), 1),
    ((0, 0, 0, 1), 0.5),
]
for (name, votes), (target, weight) in zip(VOTES.items(), PRINTED, strict=True):
    soft, found = soft_label(votes, CLASSES)
    print(name, soft.round(2), f"weight {found:.2f}")
    m = [sum(Fraction(c in given, len(given)) for given in votes) / 3 for c in CLASSES]
    assert np.allclose(soft, [float(part / sum(m)) for part in m], atol=1e-15)
    assert np.array_equal(soft.round(2), target)
    assert round(found, 2) == weight
draw_votes()
plt.show()

# %%
# These are the numbers that the paper prints.
#
# The loss
# --------
#
# Cross-entropy accepts a distribution t as well as a single class. The weight w multiplies the term
# of its utterance. For utterance b and class k, with the scores z and the probabilities p:
#
# .. math:: L = \frac{1}{B} \sum_b w_b \sum_k -t_{bk} \log p_{bk}, \qquad
#           p_{bk} = \frac{e^{z_{bk}}}{\sum_j e^{z_{bj}}}
#
# For the gradient, look at one utterance. The logarithm of the softmax is
# :math:`\log p_k = z_k - \log \sum_j e^{z_j}`, and the :math:`t_k` add up to 1. So the inner sum is
#
# .. math:: \sum_k -t_k \log p_k = -\sum_k t_k z_k + \log \sum_j e^{z_j}
#
# The first term has the derivative :math:`-t_k` with respect to :math:`z_k`. The derivative of the
# second term is :math:`e^{z_k} / \sum_j e^{z_j} = p_k`. Together:
#
# .. math:: \frac{\partial L}{\partial z_{bk}} = \frac{w_b}{B} \left(p_{bk} - t_{bk}\right)
#
# So the gradient is *the prediction minus the target*. It is zero only where p = t: **the best
# output for a soft label is the soft label itself**, not its largest class. The figure shows the
# loss of two classes, for three targets. The logarithm is the natural one, so the unit of the loss
# is called nat. Where is each minimum, and how low is it?


# sphinx_gallery_start_ignore
def draw_loss():
    _, axis = plt.subplots(figsize=(8, 3.2), layout="constrained")
    p = np.linspace(0.005, 0.995, 300)
    for n, t in enumerate((1.0, 0.75, 0.5)):
        cost = -(t * np.log(p) + (1 - t) * np.log(1 - p))
        axis.plot(p, cost, color=f"C{n}", label=f"target {t:.2f}, {1 - t:.2f}")
        axis.plot(p[cost.argmin()], cost.min(), "o", color=f"C{n}")
    axis.set(xlabel="probability of the first class", ylabel="cross-entropy, nats", ylim=(0, 3))
    axis.legend(frameon=False)


# sphinx_gallery_end_ignore
draw_loss()
plt.show()

# %%
# The loss of a soft label never reaches 0. Its smallest value is the entropy of the label: 0.56 for
# (0.75, 0.25), and ln 2 = 0.69 for (0.5, 0.5). So a loss with soft labels and a loss with hard
# labels cannot be compared.
#
# Is the kernel right? We compare its loss with SciPy, and its gradient with differences of the loss
# and with the complex step (``docs/gradcheck.md``).

rng = np.random.default_rng(10)
scores = rng.standard_normal((4, 4))
target = np.array([soft_label(votes, CLASSES)[0] for votes in VOTES.values()])
weight = np.array([soft_label(votes, CLASSES)[1] for votes in VOTES.values()])
loss, dscores = softmax.loss(scores, target, weight)
by_scipy = -(weight * (target * log_softmax(scores, axis=1)).sum(axis=1)).sum() / 4
print(f"loss {loss:.6f}, by SciPy {by_scipy:.6f}")
assert abs(loss - by_scipy) < 1e-14


def forward(scores):
    return softmax.loss(scores, target, weight)[0]


def backward(dy, scores):
    return {"scores": dy * softmax.loss(scores, target, weight)[1]}


def slow(scores):
    return reference.softmax.loss(scores, target, weight)


inputs = {"scores": scores}
reports = check(forward, backward, inputs) + complex_step(slow, backward, inputs)
print(*reports, sep="\n")
require(reports)

# %%
# Where does descent end?
# -----------------------
#
# We descend on the scores themselves, once with the hard and once with the soft labels. What will
# the probabilities of the first utterance be in the end?


def descend(target, steps=2000):
    """Probabilities (steps, 4, 4) and losses on the way."""
    z = np.zeros((4, 4))
    path, losses = [], []
    for _ in range(steps):
        loss, dz = softmax.loss(z, target, np.ones(4))
        path.append(softmax.forward(z))
        losses.append(loss)
        z -= 4 * dz
    return np.array(path), np.array(losses)


# sphinx_gallery_start_ignore
def draw_descent(paths):
    _, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
    for axis, (name, (path, _)) in zip(axes, paths.items(), strict=True):
        for k in range(4):
            axis.semilogx(np.arange(1, len(path) + 1), path[:, 0, k], color=COLOURS[k], label=CLASSES[k], lw=2)
        axis.set_xlabel("step")
        axis.set_title(f"{name} label", fontsize=11)
    axes[0].set_ylabel("probability, first utterance")
    axes[0].legend(frameon=False, fontsize=9)


# sphinx_gallery_end_ignore
one_hot = np.eye(4)[[CLASSES.index(label) for label in hard]]
paths = {"hard": descend(one_hot), "soft": descend(target)}
for name, t in (("hard", one_hot), ("soft", target)):
    path, losses = paths[name]
    entropy = -np.sum(t * np.log(np.where(t > 0, t, 1))) / 4
    print(f"{name}: probabilities {path[-1, 0].round(3)}")
    print(f"      loss {losses[-1]:.4f}, smallest possible {abs(entropy):.4f}")
    assert np.abs(path[-1] - t).max() < 1e-3
    assert entropy <= losses[-1] < entropy + 1e-3
draw_descent(paths)
plt.show()

# %%
# With the hard label, the probability of neutral goes to 1 and the loss goes to 0. The scores have
# to grow without end for this. With the soft label, descent stops at 0.75 and 0.25, and the loss
# stops at its smallest value.
#
# What the weight does
# --------------------
#
# The gradient of an utterance is w / B times the difference of prediction and target. So a weight
# of one half is a smaller step towards the same target. The figure shows the gradients of our four
# utterances while all classes have the probability 1/4. A step of descent raises a score with a
# negative gradient. The weight 0.5 of the last utterance halves its bars. Which bars would change
# if you set all weights to 1?


# sphinx_gallery_start_ignore
def draw_gradients(gradients):
    _, axes = plt.subplots(1, 4, figsize=(8, 2.8), sharey=True, layout="constrained")
    for axis, (name, votes), row in zip(axes, VOTES.items(), gradients, strict=True):
        axis.bar(range(4), row, color=COLOURS, ec="black")
        axis.axhline(0, color="black", lw=0.8)
        axis.set_xticks(range(4), [c[:3] for c in CLASSES])
        axis.set_title(f"{name[7:]}\nweight {soft_label(votes, CLASSES)[1]:.2f}", fontsize=10)
    axes[0].set_ylabel("gradient of the score")


# sphinx_gallery_end_ignore
_, gradients = softmax.loss(np.zeros((4, 4)), target, weight)
assert np.allclose(gradients, weight[:, None] / 4 * (0.25 - target))
draw_gradients(gradients)
plt.show()

# %%
# The bars of the first and of the last utterance. (The first one has no bar for sadness: its soft
# label is exactly 1/4, as the prediction, so the gradient is zero.)
#
# How often does it matter?
# -------------------------
#
# Of the paper's utterances 36.5 % are unanimous, and of the happy ones only 18 %. The built-in
# corpus has simulated annotators, who agree more often. They disagree for the same reason: an
# emotion that is expressed weakly is easily confused with a similar one.

corpus = synthetic.load()
labels = np.array([u.label for u in corpus.utterances])
names = [corpus.classes[label] for label in labels]
votes = [u.votes for u in corpus.utterances]
agreed = np.array(list(map(unanimous, votes, names)))
pairs = [soft_label(u.votes, corpus.classes) for u in corpus.utterances]
soft = np.array([target for target, _ in pairs])
weights = np.array([weight for _, weight in pairs])
print("class       utterances  unanimous  mean weight")
for k, name in enumerate(corpus.classes):
    of = labels == k
    share, mean = agreed[of].mean(), weights[of].mean()
    print(f"{name:10}  {of.sum():10}  {share:9.0%}  {mean:11.2f}")
assert (soft.argmax(axis=1) == labels).all()

# %%
# In this corpus the largest class of the soft label is always the hard label. So soft labels do not
# change *which* class is right. But many soft labels give a part of their target to another class.
# From which class to which? Think of an annotator who is not sure that an utterance is happy.


# sphinx_gallery_start_ignore
def draw_shares(share_hard, share_soft):
    flow = np.array([(weights[labels == k, None] * soft[labels == k]).sum(axis=0) for k in range(4)])
    flow /= flow.sum(axis=1, keepdims=True)
    names = [name[:3] for name in corpus.classes]
    _, (left, right) = plt.subplots(1, 2, figsize=(8, 3.1), layout="constrained", width_ratios=(1, 1.2))
    left.imshow(flow, cmap="Blues", vmin=0, vmax=1)
    for i in range(4):
        for j in range(4):
            left.text(j, i, f"{flow[i, j]:.2f}", ha="center", va="center", color="white" if i == j else "black")
    left.set_xticks(range(4), names)
    left.set_yticks(range(4), names)
    left.set(xlabel="soft labels, mean", ylabel="hard label")
    for n, (name, share) in enumerate((("hard", share_hard), ("soft", share_soft))):
        right.bar(np.arange(4) + 0.4 * n - 0.2, 100 * share, 0.38, label=f"{name} labels")
    right.set_xticks(range(4), corpus.classes)
    right.set_ylabel("share of all targets, %")
    right.legend(frameon=False)


# sphinx_gallery_end_ignore
share_hard = np.bincount(labels) / len(labels)
share_soft = (weights[:, None] * soft).sum(axis=0) / weights.sum()
for k, name in enumerate(corpus.classes):
    print(f"{name:10} {share_hard[k]:.3f} of hard, {share_soft[k]:.3f} of soft labels")
assert share_soft[0] > share_hard[0]
assert share_soft[1] < share_hard[1]
draw_shares(share_hard, share_soft)
plt.show()

# %%
# Annotators who are not sure of happiness often choose neutral. So the largest class becomes even
# larger. The paper's result (its table 6) is what one should then expect: with soft labels the
# recall of neutral rises from 60.2 % to 69.4 %, and the recall of happiness falls from 28.9 % to
# 15.5 %. WA rises by 2.0 points, because neutral is frequent, and UA falls by 2.6. Tutorial 12
# explains these two measures.
#
# What to try
# -----------
#
# 1. Three annotators say happiness, excited, excited. What are the soft label and the weight?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       Happiness has the soft label 1 and the weight 1/3. But the hard label is excited, outside
#       the four classes, so this utterance is not in the training data at all.
#
# 2. Is the largest class of a soft label always the hard label? Take the votes happiness and
#    sadness, neutral, anger and sadness, as three annotators.
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       No. The hard label is sadness, which two of them gave, but neutral has a whole vote and
#       sadness two halves: both have the mean vote 1/3. If you add frustration to the labels of the
#       third one, sadness falls to 5/18, and neutral is ahead.
#
# 3. Why is the loss divided by B, and not by the sum of the weights?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       So that an ambiguous utterance counts less in any batch. Divided by the sum of the weights,
#       a batch of utterances with small weights would count as much as a batch with weights of 1.
#
# 4. Is the weight 0.5 with the target (1, 0) the same as the weight 1 with the target (0.5, 0.5)?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       No. The gradient of the first is zero at p = (1, 0), that of the second at p = (0.5, 0.5). A
#       smaller weight does not change the target.
#
# **Your turn.** Write the loss and its gradient, with scores that may be large, in
# ``tutorials/exercises/softmax_loss.py``. In ``softmax_loss_derive.py`` you find the formula
# yourself, and in ``cuda_row_softmax.py`` you write the softmax for CUDA. This command judges it::
#
#     python -m scratchser.check tutorials/exercises/softmax_loss.py
