# %% [markdown]
# # 9. Nesterov's momentum, and a rate for each kind of layer
#
# Tutorials 4 to 8 give a gradient; this one uses it. You will see
#
# 1. why plain gradient descent crawls along a ravine, what momentum does about it, and what Nesterov's look ahead adds;
# 2. how large the gradient of each layer of the real model is (the paper's figure 4);
# 3. what follows for the rates, and what does not.

# %%
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from scratchser import truth
from scratchser.batches import Normalisation, minibatches, rng_of
from scratchser.corpus import synthetic
from scratchser.features import extract
from scratchser.kernels import nesterov, softmax
from scratchser.model import Model
from scratchser.optim import GradientNorms, Optimiser
from scratchser.presets import PRESETS
from scratchser.train import Dataset

FIGURES = Path(globals().get("__file__", "notebook")).resolve().parent / "figures"
FIGURES.mkdir(exist_ok=True)

# %% [markdown]
# ## A ravine
#
# The plainest loss with the trouble in it: $L = \frac12 (30\, w_0^2 + w_1^2)$, thirty times as steep across as along.
# Three ways down, with rate $\rho$ and momentum $\mu$:
#
# $$\text{plain: } w \mathrel{-}= \rho g \qquad
#   \text{momentum: } v = \mu v + g,\ w \mathrel{-}= \rho v \qquad
#   \text{Nesterov: } v = \mu v + g,\ w \mathrel{-}= \rho (g + \mu v)$$
#
# The rate is bound by the steep direction: plain descent multiplies $w_0$ by $1 - 30 \rho$ each step and flies apart
# beyond $\rho = 2/30$. Along the ravine that leaves a factor of $1 - \rho$, 0.97 here. Momentum adds up the small steps
# that agree. But across the ravine it adds up too, and swings. Nesterov's step already contains the correction that the
# next gradient would ask for.

# %% the package's kernel does plain descent (momentum 0) and Nesterov; momentum alone is two lines
CURVATURE, RATE, MOMENTUM, STEPS = np.array([30.0, 1.0]), 0.03, 0.9, 200
START = np.array([1.0, 2.0])


def by_kernel(momentum):
    w, v, path = START.copy(), np.zeros(2), [START.copy()]
    for _ in range(STEPS):
        nesterov.step(w, v, CURVATURE * w, np.array([2]), np.array([RATE]), np.array([0.0]), momentum)
        path.append(w.copy())
    return np.array(path)


def heavy_ball():
    w, v, path = START.copy(), np.zeros(2), [START.copy()]
    for _ in range(STEPS):
        v = MOMENTUM * v + CURVATURE * w
        w = w - RATE * v
        path.append(w)
    return np.array(path)


paths = {"plain": by_kernel(0.0), "momentum": heavy_ball(), "Nesterov": by_kernel(MOMENTUM)}
for name, path in paths.items():
    distance = np.linalg.norm(path, axis=1)
    last = int(np.flatnonzero(distance > 0.01)[-1])
    print(f"{name:8}: within 0.01 of the bottom for good after {last + 1} steps")

# %% [markdown]
# ## Are they what they say?
#
# Each coordinate is a linear recursion, so there is a closed form: $(w, v)_n = M^n (w, v)_0$. And the textbook writes
# Nesterov otherwise: the gradient is taken *ahead*, at $\theta + \mu v$. That is the same walk: our $w$ is the point
# ahead, where the gradient is needed anyway.

# %%
plain = START * (1 - RATE * CURVATURE) ** STEPS
assert np.allclose(paths["plain"][-1], plain, rtol=1e-9, atol=0)
for k, curvature in enumerate(CURVATURE):
    M = np.array([  # (w, v) of the next step; v = 0 at the start
        [1 - RATE * curvature * (1 + MOMENTUM), -RATE * MOMENTUM**2],
        [curvature, MOMENTUM],
    ])  # fmt: skip
    closed = [(np.linalg.matrix_power(M, n) @ [START[k], 0])[0] for n in range(STEPS + 1)]
    assert np.allclose(paths["Nesterov"][:, k], closed, rtol=1e-9, atol=1e-12)
    ball = np.array([[1 - RATE * curvature, -RATE * MOMENTUM], [curvature, MOMENTUM]])
    shrink = [np.abs(np.linalg.eigvals(matrix)).max() for matrix in (ball, M)]
    print(f"curvature {curvature:2.0f}: factor per step {abs(1 - RATE * curvature):.3f} plain,", end=" ")
    print(f"{shrink[0]:.3f} by momentum, {shrink[1]:.3f} by Nesterov")
textbook = truth.nesterov.textbook(START, lambda w: CURVATURE * w, RATE, MOMENTUM, STEPS)
ahead = np.array([theta + MOMENTUM * v for theta, v in textbook])
assert np.allclose(paths["Nesterov"][1:], ahead, rtol=1e-9, atol=1e-12)

# %% [markdown]
# ## The real model's gradients
#
# The paper saw that the convolutions' gradients are "significantly larger" than the Bi-LSTM's, and drew figure 4. So do
# we: the small model on 60 utterances of the built-in corpus, one rate for all layers, and after each backward pass
# $\lVert dW \rVert / \sqrt n$ of each layer's weights: the size of a typical entry, so that layers of unequal size
# compare. It is the gradient of the data alone, without L2.

# %%
config = replace(PRESETS["demo"], conv_rate=0.01, conv_l2=0.001, vtlp="off", oversample=(), schedule="constant")
corpus = synthetic.load(size=60)
data = Dataset.of(corpus.classes, corpus.utterances, extract(corpus, config), config)
everything = np.arange(len(corpus.utterances))
normalisation = Normalisation.of(data.features, everything, "fold")


def train(config, epochs, seed=0):
    """Training loss of each epoch, gradient norms of each layer and epoch."""
    model = Model(config, data.features.values.shape[1], len(data.classes), seed)
    optimiser, losses, norms = Optimiser(model.parameters, config), [], []
    for epoch in range(1, epochs + 1):
        seen, loss = GradientNorms(model.parameters), 0.0
        for batch in minibatches(data, everything, config, normalisation, rng_of(seed, 1, epoch)):
            now, dscores = softmax.loss(model.forward(batch.x, batch.lengths), batch.targets, batch.weights)
            model.backward(dscores)
            seen.add()
            optimiser.step(1.0)
            loss += now * len(batch.lengths) / len(everything)
        losses.append(loss)
        norms.append(seen.means())
    return np.array(losses), {layer: np.array([row[layer] for row in norms]) for layer in norms[0]}


EPOCHS = 8
losses, norms = train(config, EPOCHS)
conv = np.mean([norms[f"conv{n}"] for n in range(1, 5)])
for layer, sizes in norms.items():
    print(f"{layer}: {sizes.mean():.4f} on average")
print(f"convolutions to Bi-LSTM: {conv / norms['lstm1'].mean():.1f}")
assert conv > 1.5 * norms["lstm1"].mean() and losses[-1] < losses[0] / 2

# %% [markdown]
# The convolutions' gradient is about twice the Bi-LSTM's: figure 4's effect is there, in a small model on made-up
# speech. But the dense layer's is larger still, and nobody gave it a rate of its own. So a large gradient is not in
# itself a reason for a large rate: it already makes the step large. What the paper says is that the convolutions
# learned too little, that a higher rate for them (with a higher L2 against overfitting) helped, and that the unequal
# gradients were the hint that layers learn at unequal pace. An experiment has to decide.

# %% the same with one rate doubled, everything else as it was
runs = {"one rate, 0.01": losses}
runs["conv 0.02, rest 0.01"], _ = train(replace(config, conv_rate=0.02), EPOCHS)
runs["conv 0.01, rest 0.02"], _ = train(replace(config, rate=0.02), EPOCHS)
for name, loss in runs.items():
    print(f"{name:20}: training loss {loss[6]:.2f} after 7 epochs")

# %% [markdown]
# With seeds 0, 1, 2 we found 0.46, 0.44, 0.55 with one rate; 0.36, 0.33, 0.28 with the convolutions' doubled; 0.38,
# 0.38, 0.33 with the rest's doubled. Doubling either fits the training set sooner, the convolutions' by a little more.
# That is about speed on 60 utterances heard in training; about voices never heard it says nothing (tutorial 12).

# %%
figure, (plane, distances, layers) = plt.subplots(1, 3, figsize=(14, 4), layout="constrained")
w0, w1 = np.meshgrid(np.linspace(-1.1, 1.1, 200), np.linspace(-0.9, 2.2, 200))
levels = np.geomspace(0.05, 20, 10)
plane.contour(w0, w1, 0.5 * (CURVATURE[0] * w0**2 + CURVATURE[1] * w1**2), levels, colors="0.8", linewidths=0.8)
for (name, path), colour in zip(paths.items(), ("tab:grey", "tab:orange", "tab:blue"), strict=True):
    plane.plot(*path[:25].T, ".-", color=colour, lw=1.2, ms=4, label=name)
    distances.semilogy(np.linalg.norm(path, axis=1), color=colour, label=name)
plane.set(title="the first 24 steps", xlabel="$w_0$, across", ylabel="$w_1$, along", xticks=(-1, 0, 1))
distances.set(title="distance from the bottom", xlabel="step", ylim=(1e-5, 5))
for layer, sizes in norms.items():
    style = {"lstm1": "s-", "dense": "^:"}.get(layer, "o--")
    layers.semilogy(range(1, EPOCHS + 1), sizes, style, ms=4, label=layer)
layers.set(title="gradient of each layer, $||dW|| / \\sqrt{n}$", xlabel="epoch", ylim=(3e-3, 0.15))
for axes in (plane, distances, layers):
    axes.legend(fontsize="small", ncols=2 if axes is layers else 1, edgecolor="none", loc="upper right")
    axes.grid(alpha=0.25)
figure.savefig(FIGURES / "09_nesterov_and_rates.png", dpi=120)

# %% [markdown]
# ## What to try
#
# - *Raise RATE to 0.05. Which of the three diverges?* Nesterov alone. Across the ravine plain descent bears
#   $\rho a < 2$, momentum $\rho a < 2 (1 + \mu) = 3.8$, Nesterov $\rho a < 2 (1 + \mu) / (1 + 2 \mu) = 1.36$, and
#   $\rho a$ is then 1.5. Looking ahead has a price.
# - *With momentum 0.9, how much further does a constant gradient push than without?* Ten times: $v$ tends to
#   $g / (1 - \mu)$. So whoever adds momentum lowers the rate.
# - *Why $\sqrt n$ under the norm?* `conv1` has 1296 weights, `lstm1` 73728. A norm grows with their number alone.
# - *Does L2 act through the gradient shown here?* No: the norms are of the data loss; L2 enters in the step, $g = dW +
#   \lambda W$, for weights and not for biases.
#
# Your turn: `tutorials/exercises/nesterov.py`, one step over all parameters, in place, each segment with its own rate
# and L2:
#
# ```sh
# python -m scratchser.check tutorials/exercises/nesterov.py
# ```
#
# Next: `10_soft_labels.py`, what the network is asked to say.
