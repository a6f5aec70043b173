# %% [markdown]
# # 10. Soft labels: the target when the annotators disagree
#
# You will see where a label comes from (three annotators, who may each give several labels, also outside our four
# emotions); the examples of the paper's table 5 with hard label, soft label and weight, unanimous or ambiguous; and how
# a soft target changes the loss, its gradient and the best output.
#
# It builds on the loss that tutorial 9 minimised, and explains where its targets come from.

# %%
from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np
from _figures import save
from scipy.special import log_softmax

from scratchser import reference
from scratchser.corpus import synthetic
from scratchser.corpus.table import CLASSES
from scratchser.corpus.votes import soft_label, unanimous
from scratchser.gradcheck import check, complex_step, require
from scratchser.kernels import softmax

# %% [markdown]
# ## From three people to a target
#
# - **Hard label**: the label that at least two annotators gave, if there is exactly one such label. All other
#   information is lost.
# - **Soft label**: each annotator has a mass of 1 and spreads it evenly over all labels given, also those outside the
#   four. With m(c) the mean mass of class c over the annotators,
#
#       weight = Σ m(c)            soft(c) = m(c) / weight            over the four classes c
#
#   Mass on other emotions makes the utterance count less. It does not change the target.
# - **Unanimous**: every annotator's labels *contain* the hard label. Otherwise it is **ambiguous**. An annotator who
#   gives "sad" and "angry" still agrees on sad.
#
# The paper shows four examples in its table 5. "Other" in the last row stands for disgust and frustration in the
# IEMOCAP release: two labels with one vote each.

# %%
NEU, HAP, SAD, ANG, FRU = "neutral", "happiness", "sadness", "anger", "frustration"
TABLE_5 = {  # three annotators; hard label, soft label of NEU HAP SAD ANG, weight, unanimous
    "Ses01F_impro05_M020": ([FRU], [NEU, SAD], [NEU], NEU, (0.75, 0, 0.25, 0), 0.67, False),
    "Ses02M_impro08_F023": ([HAP], [HAP], [NEU], HAP, (0.33, 0.67, 0, 0), 1, False),
    "Ses02M_impro06_M012": ([SAD, ANG], [SAD], [SAD], SAD, (0, 0, 0.83, 0.17), 1, True),
    "Ses01F_impro01_M011": ([ANG], ["disgust", ANG], [FRU], ANG, (0, 0, 0, 1), 0.5, False),
}


def hard_label(votes):
    labels = {label for given in votes for label in given}
    agreed = [label for label in labels if sum(label in given for given in votes) >= 2]
    return agreed[0] if len(agreed) == 1 else None


for name, (*votes, hard, printed, weight, agreement) in TABLE_5.items():
    soft, found = soft_label(votes, CLASSES)
    print(f"{name}: {hard:9} soft {soft.round(2)} weight {found:.2f} {'una' if agreement else 'amb'}")
    exact = [sum(Fraction(c in given, len(given)) for given in votes) / 3 for c in CLASSES]
    assert np.allclose(soft, [float(m / sum(exact)) for m in exact], atol=1e-15)
    assert np.array_equal(soft.round(2), printed) and round(found, 2) == weight  # to the digits that the paper prints
    assert unanimous(votes, hard) is agreement and hard_label(votes) == hard

# %% [markdown]
# ## The loss
#
# Cross-entropy takes a distribution as well as a one-hot target; the weight w multiplies the utterance's term:
#
#     L     = 1/B Σ_b w[b] Σ_k -t[b, k] log p[b, k]              p = softmax of the scores z
#     dz    = w[b] / B (p[b, k] Σ_j t[b, j] - t[b, k])
#
# With Σ t = 1 that is *the prediction minus the votes*. It is zero only at p = t: the best output for a soft target is
# the soft target itself.

# %% against SciPy, finite differences and the complex step
rng = np.random.default_rng(10)
logits = rng.standard_normal((4, 4))
target, weight = (np.array(a) for a in zip(*(soft_label(row[:3], CLASSES) for row in TABLE_5.values()), strict=True))
loss, dlogits = softmax.loss(logits, target, weight)
scipys = -(weight * (target * log_softmax(logits, axis=1)).sum(axis=1)).sum() / 4
assert abs(loss - scipys) < 1e-14


def forward(logits):
    return softmax.loss(logits, target, weight)[0]


def backward(dy, logits):
    return {"logits": dy * softmax.loss(logits, target, weight)[1]}


moved = check(forward, backward, {"logits": logits})
exact = complex_step(lambda logits: reference.softmax.loss(logits, target, weight), backward, {"logits": logits})
print(f"loss {loss:.6f}, by SciPy {scipys:.6f}; gradient by differences, by complex step:", *moved, *exact, sep="\n")
require(moved + exact)

# %% gradient descent on the scores themselves: where do they end?
for name, t in (("hard", np.eye(4)[[CLASSES.index(row[3]) for row in TABLE_5.values()]]), ("soft", target)):
    z = np.zeros((4, 4))
    for _ in range(2000):
        now, dz = softmax.loss(z, t, np.ones(4))
        z -= 4 * dz
    entropy, off = abs(np.sum(t * np.log(np.where(t > 0, t, 1)))) / 4, np.abs(softmax.forward(z) - t).max()
    print(f"{name}: ends {off:.4f} from its target, at loss {now:.4f}; no answer can be better than {entropy:.4f}")
    assert off < 1e-3 and entropy <= now < entropy + 1e-3

# %% [markdown]
# With a soft target, the smallest loss is the target's entropy, not 0. So losses with soft labels and with hard labels
# cannot be compared.
#
# ## How often does it matter?
#
# Among the paper's utterances 36.5 % are unanimous, among the happy ones 18 %. The built-in corpus has simulated
# annotators, who agree more often; the mechanism is the same.

# %%
corpus = synthetic.load()
labels = np.array([u.label for u in corpus.utterances])
agreed = np.array([unanimous(u.votes, corpus.classes[u.label]) for u in corpus.utterances])
pairs = [soft_label(u.votes, corpus.classes) for u in corpus.utterances]
soft, weights = (np.array(part) for part in zip(*pairs, strict=True))
share_hard = np.bincount(labels) / len(labels)
share_soft = (weights[:, None] * soft).sum(axis=0) / weights.sum()
for k, name in enumerate(corpus.classes):
    of = labels == k
    print(f"{name:10}: {of.sum():3} utterances, {100 * agreed[of].mean():.0f} % unanimous, mean weight", end=" ")
    print(f"{weights[of].mean():.2f}; share of all targets: {share_hard[k]:.3f} hard, {share_soft[k]:.3f} soft")
assert (soft.argmax(axis=1) == labels).all()  # but hap / sad, neu, ang / sad, fru would differ
assert share_soft[0] > share_hard[0] and share_soft[1] < share_hard[1]

# %% [markdown]
# Doubt is not distributed evenly: annotators who are not sure of happiness choose neutral. So the mass of the targets
# moves towards the class that is already the largest. The paper found the same (its table 6): with soft labels the
# recall of neutral is 69.4 % instead of 60.2 %, that of happiness 15.5 % instead of 28.9 %; WA rises by 2.0 points, UA
# falls by 2.6.

# %%
figure, (table, curve) = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained", width_ratios=(1.3, 1))
starts = np.cumsum(target, axis=1) - target
for k, colour in enumerate(("tab:grey", "gold", "tab:blue", "tab:red")):
    table.barh(range(4), target[:, k], left=starts[:, k], color=colour, label=CLASSES[k])
rows = [f"{name[:6]} {name[7:14]}\nweight {w:.2f}" for name, w in zip(TABLE_5, weight, strict=True)]
table.set_yticks(range(4), rows, fontsize="small")
table.invert_yaxis()
table.set(title="the soft labels of table 5", xlabel="share of the target", xlim=(0, 1))
table.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=4, frameon=False)
p = np.linspace(0.005, 0.995, 300)
for t, colour in ((1.0, "tab:red"), (0.75, "tab:blue"), (0.5, "tab:green")):
    cost = -(t * np.log(p) + (1 - t) * np.log(1 - p))
    curve.plot(p, cost, color=colour, label=f"target {t:.2f}, {1 - t:.2f}")
    curve.plot(p[cost.argmin()], cost.min(), "o", color=colour)
curve.set(title="the loss of two classes", xlabel="probability of the first", ylabel="cross-entropy, nats", ylim=(0, 3))
curve.legend(frameon=False)
save(figure, "10_soft_labels")

# %% [markdown]
# ## What to try
#
# - Three annotators say happiness, excited, excited. What are the soft label and the weight? (Happiness 1, weight 1/3.
#   But the hard label is excited, outside the four, so the utterance is not in the table at all.)
# - Why is the loss divided by B and not by Σ w? (So that a doubtful utterance counts less in any batch. With Σ w, a
#   batch of only doubtful utterances would count as much as a batch of certain ones.)
# - Is weight 0.5 and target 1 the same as weight 1 and target (0.5, 0.5)? (No: the first gradient is zero at p = 1, the
#   second at p = 0.5. A smaller weight does not change the target.)
# - Your turn: `tutorials/exercises/softmax_loss.py`, with scores that may be large, judged by
#   `python -m scratchser.check tutorials/exercises/softmax_loss.py`.
