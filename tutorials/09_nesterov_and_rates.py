# %% [markdown]
# # 9. Nesterov's momentum, and a learning rate for each kind of layer
#
# You will see why plain gradient descent is slow in a ravine, how momentum helps and what Nesterov's look-ahead adds;
# how large the gradient of each layer of the real model is (the paper's figure 4); and what follows from this for the
# learning rates, and what does not.
#
# It builds on the gradients of tutorials 4 to 8, and uses them to train.

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
from _figures import save

from scratchser import reference
from scratchser.corpus import synthetic
from scratchser.corpus.batches import Dataset, minibatches, rng_of
from scratchser.corpus.features import extract
from scratchser.corpus.normalisation import Normalisation
from scratchser.kernels import nesterov, softmax
from scratchser.model import Model
from scratchser.optim import GradientNorms, Optimiser
from scratchser.presets import PRESETS

# %% [markdown]
# ## A ravine
#
# The simplest loss with this problem is L = (30 w0² + w1²) / 2: its curvature across the ravine is thirty times that
# along it. There are three ways to descend, with the gradient g, a learning rate ρ and a momentum μ:
#
#     plain       w -= ρ g
#     momentum    v = μ v + g,   w -= ρ v
#     Nesterov    v = μ v + g,   w -= ρ (g + μ v)
#
# The steep direction limits the learning rate: plain descent multiplies w0 by 1 - 30 ρ in each step and diverges for
# ρ > 2/30. Along the ravine, it multiplies w1 by 1 - ρ, 0.97 here. Momentum adds up the small steps in the same
# direction, but it oscillates across the ravine. Nesterov looks ahead: momentum will move θ to θ - ρ μ v, so the
# gradient is computed there, not at θ.

# %% the package's kernel does plain descent (momentum 0) and Nesterov; momentum alone is two lines
CURVATURE, RATE, MOMENTUM, STEPS = np.array([30.0, 1.0]), 0.03, 0.9, 200
START = np.array([1.0, 2.0])


def descend(step):
    w, v, path = START.copy(), np.zeros(2), [START.copy()]
    for _ in range(STEPS):
        step(w, v, CURVATURE * w)
        path.append(w.copy())
    return np.array(path)


def by_kernel(momentum):
    settings = np.array([2]), np.array([RATE]), np.array([0.0]), momentum
    return lambda w, v, g: nesterov.step(w, v, g, *settings)


def heavy_ball(w, v, g):
    v[:] = MOMENTUM * v + g
    w -= RATE * v


paths = {"plain": descend(by_kernel(0.0)), "momentum": descend(heavy_ball), "Nesterov": descend(by_kernel(MOMENTUM))}
for name, path in paths.items():
    last = int(np.flatnonzero(np.linalg.norm(path, axis=1) > 0.01)[-1])
    print(f"{name:8}: stays within 0.01 of the minimum after {last + 1} steps")

# %% [markdown]
# ## Are they right?
#
# Each coordinate is a linear recursion: (w, v) of step n is Mⁿ times (w, v) of step 0. Textbooks use θ:
# g at w = θ - ρ μ v, v' = μ v + g, θ' = θ - ρ v'. Then w' = θ' - ρ μ v' = w + ρ μ v - ρ v' - ρ μ v' = w - ρ (g + μ v'),
# the line above. We store only the look-ahead point w. The function `textbook` stores θ, and its v is our -ρ v; both
# paths agree.

# %%
for k, a in enumerate(CURVATURE):
    ball = np.array([[1 - RATE * a, -RATE * MOMENTUM], [a, MOMENTUM]])  # (w, v) of the next step
    M = np.array([[1 - RATE * a * (1 + MOMENTUM), -RATE * MOMENTUM**2], [a, MOMENTUM]])
    for name, matrix in (("momentum", ball), ("Nesterov", M)):
        closed = [(np.linalg.matrix_power(matrix, n) @ [START[k], 0])[0] for n in range(STEPS + 1)]
        assert np.allclose(paths[name][:, k], closed, rtol=1e-9, atol=1e-12)
    shrink = [abs(1 - RATE * a), *(np.abs(np.linalg.eigvals(matrix)).max() for matrix in (ball, M))]
    print(f"curvature {a:2.0f}: factor per step %.3f plain, %.3f by momentum, %.3f by Nesterov" % tuple(shrink))
assert np.allclose(paths["plain"][-1], START * (1 - RATE * CURVATURE) ** STEPS, rtol=1e-9, atol=0)
textbook = reference.nesterov.textbook(START, lambda w: CURVATURE * w, RATE, MOMENTUM, STEPS)
assert np.allclose(paths["Nesterov"][1:], [theta + MOMENTUM * v for theta, v in textbook], rtol=1e-9, atol=1e-12)

# %% [markdown]
# ## The real model's gradients
#
# The paper found that the convolutions' gradients are "significantly larger" than the Bi-LSTM's, and shows this in
# figure 4. We measure the same: the small model is trained on 60 utterances of the built-in corpus, with one learning
# rate for all layers. After each backward pass we compute ‖dW‖ / √n of each layer's weights. This is the size of a
# typical element, so that layers of unequal size can be compared. The gradient is that of the data alone, without L2.

# %%
config = replace(
    PRESETS["demo"], conv_learning_rate=0.01, conv_l2=0.001, vtlp="off", oversample=(), schedule="constant"
)
corpus, everything = synthetic.load(size=60), np.arange(60)
data = Dataset.of(corpus.classes, corpus.utterances, extract(corpus, config), config)
normalisation = Normalisation.of(data.features, everything, "fold")


def train(config, epochs, seed=0):
    """Training loss of each epoch, gradient norms of each layer and epoch."""
    model = Model(config, data.features.values.shape[1], len(data.classes), seed)
    optimiser, losses, norms = Optimiser(model.parameters, config), [], []
    for epoch in range(1, epochs + 1):
        norm, loss = GradientNorms(model.parameters), 0.0
        for batch in minibatches(data, everything, config, normalisation, rng_of(seed, 1, epoch)):
            now, dscores = softmax.loss(model.forward(batch.x, batch.lengths), batch.targets, batch.weights)
            model.backward(dscores)
            norm.add()
            optimiser.step(1.0)
            loss += now * len(batch.lengths) / len(everything)
        losses, norms = [*losses, loss], [*norms, norm.means()]
    return losses, {layer: np.array([row[layer] for row in norms]) for layer in norms[0]}


EPOCHS = 8
losses, norms = train(config, EPOCHS)
conv, recurrent = np.mean([norms[f"conv{n}"] for n in range(1, 5)]), norms["lstm1"].mean()
print(*(f"{layer} {sizes.mean():.4f}" for layer, sizes in norms.items()), f"conv / lstm {conv / recurrent:.1f}")
assert conv > 1.5 * recurrent and losses[-1] < losses[0] / 2

# %% [markdown]
# The convolutions' gradient is about twice the Bi-LSTM's: synthetic speech shows the effect of figure 4, too. But the
# dense layer's gradient is even larger, and a large gradient already makes the step large: alone, it is no reason for a
# large learning rate. The paper says that the layers learned at different speeds, the convolutions too slowly, and that
# a higher learning rate for them, with a higher L2 against overfitting, helped. Only an experiment can decide. Here we
# double one learning rate.

# %%
runs = {"one rate, 0.01": losses}
runs["conv 0.02, rest 0.01"], _ = train(replace(config, conv_learning_rate=0.02), EPOCHS)
runs["conv 0.01, rest 0.02"], _ = train(replace(config, learning_rate=0.02), EPOCHS)
print(*(f"{name:20}: training loss {loss[6]:.2f} in epoch 7" for name, loss in runs.items()), sep="\n")

# %% [markdown]
# Seeds 0, 1, 2 gave 0.46, 0.44, 0.55 with one learning rate; 0.36, 0.33, 0.28 with a doubled learning rate for the
# convolutions; and 0.38, 0.38, 0.33 with a doubled learning rate for the other layers. Both fit the 60 training
# utterances faster; this says nothing about other speakers (tutorial 12).

# %%
figure, (plane, distances, layers) = plt.subplots(1, 3, figsize=(14, 4), layout="constrained")
w0, w1 = np.meshgrid(np.linspace(-1.1, 1.1, 200), np.linspace(-1.6, 2.2, 200))
plane.contour(w0, w1, 15 * w0**2 + 0.5 * w1**2, np.geomspace(0.05, 20, 10), colors="0.8", linewidths=0.8)
for (name, path), colour in zip(paths.items(), ("tab:grey", "tab:orange", "tab:blue"), strict=True):
    plane.plot(*path[:25].T, ".-", color=colour, lw=1.2, ms=4, label=name)
    distances.semilogy(np.linalg.norm(path, axis=1), color=colour, label=name)
plane.set(title="the first 24 steps", xlabel="$w_0$, across", ylabel="$w_1$, along", xticks=(-1, 0, 1))
distances.set(title="distance from the minimum", xlabel="step", ylim=(1e-5, 5))
for layer, sizes in norms.items():
    layers.semilogy(range(1, EPOCHS + 1), sizes, {"lstm1": "s-", "dense": "^:"}.get(layer, "o--"), ms=4, label=layer)
layers.set(title="gradient of each layer, $||dW|| / \\sqrt{n}$", xlabel="epoch", ylim=(3e-3, 0.15))
plane.legend(fontsize="small", ncols=3, edgecolor="none", loc="lower center")  # below the paths
for axes, columns in ((distances, 1), (layers, 2)):
    axes.legend(fontsize="small", ncols=columns, edgecolor="none", loc="upper right")
save(figure, "09_nesterov_and_rates")

# %% [markdown]
# ## What to try
#
# - Raise RATE to 0.05. Which of the three diverges? (Nesterov alone. Across the ravine, with a = 30, plain descent
#   needs ρ a < 2, momentum ρ a < 2 (1 + μ) = 3.8, Nesterov ρ a < 2 (1 + μ) / (1 + 2 μ) = 1.36, and ρ a is 1.5.)
# - With momentum 0.9, how much larger do the steps become if the gradient is constant? (Ten times:
#   v tends to g / (1 - μ).)
# - Your turn: `tutorials/exercises/nesterov.py`, one step over all parameters, each segment with its own learning rate
#   and L2, judged by `python -m scratchser.check tutorials/exercises/nesterov.py`.
