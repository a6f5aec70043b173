"""Softmax cross-entropy with soft targets and weights: the loss and its gradient."""

import numpy as np

from scratchser import reference
from scratchser.check.exercises import exercise as ex
from scratchser.kernels import softmax

PARTS = {
    "loss": ex.Part("Which sum, which sign and which divisor does the loss have?",
        "loss = -1/B Σ_b w[b] Σ_k t[b, k] log p[b, k].",
        "loss += -weight[b] / B * (target[b] * log_p).sum()", {
        "factor 1/B forgotten": "divide the loss by the batch size, and its gradient too.",
        "weights forgotten": "utterance b counts weight[b] times.",
        "divided by the sum of weights": "divide the sum by B, whatever the weights are.",
        "divided by the number of classes": "divide by B only: over the classes it is a sum, not a mean.",
        "sign": "the loss is -Σ t log p, which is positive; its gradient is p - t.",
        "p and t exchanged": "the cross-entropy is -Σ t log p, not -Σ p log t or -Σ p log p.",
        "logarithm forgotten": "the cross-entropy is -Σ t log p.",
        **ex.variants("another base of the logarithm", "take the natural logarithm.", "10", "2"),
        "accumulation forgotten": "the loss is the sum over all utterances: use +=.",
    }),
    "dlogits": ex.Part("What is the derivative of log p with respect to a score? Do the targets sum to 1?",
        "dlogits[b, k] = w[b] / B (p[b, k] Σ_j t[b, j] - t[b, k]).",
        "dlogits[b] = weight[b] / B * (p * target[b].sum() - target[b])", {
        "targets assumed to sum to 1": "dlogits = w / B (p Σ_j t[j] - t): here the targets need not sum to 1.",
        "hard targets": "the target is a distribution: every class counts with its share, not the largest only.",
        "hard targets (Σ t of the soft ones)": "every class counts with its share, not the largest only.",
        "derivative of p twice": "the derivative of softmax and cross-entropy together is p - t already.",
        "own class only": "z[k] is in the log p of every class of its row: sum over them, not t[k] (p[k] - 1) alone.",
    }),
    "p": ex.Part("Which numbers must sum to 1, and how large can exp become?",
        "p = exp(z - max z) / Σ_j exp(z_j - max z), for each utterance: the maximum of its scores changes nothing.",
        "z = logits[b] - logits[b].max(), then log_p = z - np.log(np.exp(z).sum())", {
        "softmax over the wrong axis": "the probabilities of one utterance sum to 1: sum over its classes.",
        "normalisation forgotten": "p = exp z / Σ_j exp z_j: divide by the sum.",
        **ex.variants("maximum not subtracted", "exp overflows: subtract the largest score of the row first.", "scores",
            "log of the ratio"),
        "maximum subtracted in one place only": "log p = z - max z - log Σ_j exp(z_j - max z).",
        "maximum over the wrong axis": "subtract one number from all scores of a row: the maximum over its classes.",
        "logarithm of 0": "a small p becomes 0: compute log p as z - max z - log Σ_j exp(z_j - max z).",
    }),
}  # fmt: skip


def loss(a: ex.Arguments, mistakes: ex.Mistakes) -> ex.Outputs:
    z, t, w = a["logits"], a["target"], a["weight"]
    B, K = z.shape
    overflow = mistakes & {"maximum not subtracted (scores)", "maximum not subtracted (log of the ratio)"}
    ratio = mistakes & {"logarithm of 0", "maximum not subtracted (log of the ratio)"}
    with np.errstate(all="ignore"):
        shift = z.max(axis=0 if "maximum over the wrong axis" in mistakes else 1, keepdims=True)
        z = z if overflow else z - shift
        e = np.exp(z)
        total = np.ones((B, 1)) if "normalisation forgotten" in mistakes else e.sum(axis=1, keepdims=True)
        log_p, p = np.log(e / total) if ratio else z - np.log(total), e / total
        if "maximum subtracted in one place only" in mistakes:
            log_p, p = log_p + shift, np.exp(log_p + shift)
    if "softmax over the wrong axis" in mistakes:
        e = np.exp(a["logits"] - a["logits"].max(axis=0))
        p = e / e.sum(axis=0)
        log_p = np.log(np.maximum(p, np.finfo(float).tiny))
    t = np.eye(K)[t.argmax(axis=1)] if "hard targets" in mistakes else t
    w = np.ones(B) if "weights forgotten" in mistakes else w
    divisor = ex.choice(mistakes, {"factor 1/B forgotten": 1, "divided by the sum of weights": a["weight"].sum()}, B)
    divisor = divisor * (K if "divided by the number of classes" in mistakes else 1)
    bases = {"another base of the logarithm (10)": np.log(10), "another base of the logarithm (2)": np.log(2)}
    log = p if "logarithm forgotten" in mistakes else log_p / ex.choice(mistakes, bases, 1)
    rows = w * -((p if "p and t exchanged" in mistakes else t) * log).sum(axis=1) / divisor
    mass = 1 if "targets assumed to sum to 1" in mistakes else t.sum(axis=1, keepdims=True)
    hard = np.eye(K)[t.argmax(axis=1)] if "hard targets (Σ t of the soft ones)" in mistakes else t
    dz = w[:, None] / divisor * (p * mass - hard)
    dz = w[:, None] / divisor * t * (p - 1) if "own class only" in mistakes else dz
    dz = dz * p * (1 - p) if "derivative of p twice" in mistakes else dz
    sign = -1 if "sign" in mistakes else 1
    total = rows[-1] if "accumulation forgotten" in mistakes else rows.sum()
    return {"loss": np.asarray(sign * total), "dlogits": sign * dz}


def arguments(B: int, K: int, seed: int = 0, mass: float = 0.6, scale: float = 2.0) -> ex.Arguments:
    rng = np.random.default_rng(seed)
    target = mass * rng.dirichlet(np.ones(K), B)
    return {"logits": scale * rng.standard_normal((B, K)), "target": target, "weight": rng.uniform(0.2, 1, B)}


def gradients() -> list[ex.Differences]:
    a = arguments(5, 4, 20)

    def forward(logits: np.ndarray) -> float:
        return float(reference.softmax.loss(logits, a["target"], a["weight"]))

    return [ex.Differences(forward=forward, inputs={"logits": a["logits"]}, arguments=a)]


EXERCISE = ex.CpuExercise(
    cases=lambda: {
        "5 utterances, 4 classes": arguments(5, 4, 1),
        "one utterance, 2 classes": arguments(1, 2, 2),
        "targets sum to 1": arguments(4, 3, 3, mass=1),
        "random shape 1": arguments(7, 3, 10),
        "random shape 2": arguments(2, 3, 11),
        "large scores: exp overflows": arguments(4, 3, 4, scale=1000),
    },
    reference=loss,
    parts=PARTS,
    axes={"loss": (), "dlogits": ("utterance", "class")},
    suspect=lambda trial, wrong: "p" if len(wrong) == 2 else wrong[0],
    gradients=gradients,
    timed=lambda: arguments(64, 4),
    package=softmax.loss,
)
