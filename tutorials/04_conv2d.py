# %% [markdown]
# # 4. Strided convolution and its two gradients
#
# You will see what a convolution layer computes, how padding, strides and lengths work together, and how both of its
# gradients follow from one question: which outputs depend on this input or this weight?
#
# It builds on the spectrogram of tutorial 2, and on the gather and the transposed matrix of tutorial 3.

# %%
import matplotlib.pyplot as plt
import numpy as np
from _figures import save
from scipy.signal import correlate

from scratchser import reference
from scratchser.corpus import synthetic
from scratchser.gradcheck import check, require
from scratchser.kernels import conv2d, stft

# %% [markdown]
# ## One dimension first
#
# A kernel of a few weights slides along the input. At each stop it multiplies the inputs below it by its weights, and
# adds up the products:
#
#     y[t] = bias + Σ_i W[i] x[t s + i - p]          stride s: the stops are s apart
#
# It begins p = ⌊(I - 1) / 2⌋ elements before the input; past the ends it reads zeros. There are ⌈T / s⌉ stops, whatever
# the kernel's size. Why use one kernel for all positions, and not separate weights for each position? A pattern of
# speech may come early or late, and what is learnt about it at one position should apply to all.

# %%
T, I, s = 9, 3, 2
x, W = np.array([2.0, 0, 1, 3, -1, 0, 0, 2, 1]), np.array([1.0, 2, -1])
p, stops = (I - 1) // 2, -(-T // s)
M = np.zeros((stops, T))  # M[t, u]: the weight of input u in output t
for t in range(stops):
    for i in range(I):
        if 0 <= t * s + i - p < T:
            M[t, t * s + i - p] = W[i]
y = conv2d.forward(x.reshape(1, T, 1, 1), np.array([T]), W.reshape(I, 1, 1, 1), np.zeros(1), (s, 1), relu=False)
print("y as a matrix product:", M @ x)
print("y by the kernel:      ", y.ravel())
assert np.allclose(M @ x, y.ravel()) and np.allclose(M @ x, correlate(np.pad(x, (1, 1)), W, "valid")[::2])

# %% [markdown]
# ## Both gradients
#
# When y[t] changes by a small ε, the loss changes by ε dy[t]. So ask for each input and each weight: which outputs
# depend on it?
#
# - **An input** x[u] affects output t with weight M[t, u], so dx = Mᵀ dy, as in tutorial 3. Row t of M is the kernel;
#   column u holds every second weight only: for an input at an even position W[1], at an odd one W[2] and W[0]. The
#   positions fall into s classes, and each class has its own small kernel. The package computes dx in this way.
# - **A weight** W[i] is used by all stops, once each, so all of them add to it: dW[i] = Σ_t x[t s + i - p] dy[t].
# - **The bias** is used with factor 1 everywhere: dbias = Σ_t dy[t].

# %%
dy = np.array([1.0, -1, 0.5, 2, 0])
padded = np.pad(x, (p, I))
dW = np.array([sum(padded[t * s + i] * dy[t] for t in range(stops)) for i in range(I)])
dW_kernel, dbias = np.zeros((I, 1, 1, 1)), np.zeros(1)
shaped = x.reshape(1, T, 1, 1), y, np.array([T]), W.reshape(I, 1, 1, 1), (s, 1)
dx = conv2d.backward(dy.reshape(y.shape), *shaped, dW_kernel, dbias, relu=False)
print("\ndx = Mᵀ dy:  ", M.T @ dy, "\nby the kernel:", dx.ravel(), "\ndW:", dW, dW_kernel.ravel())
assert np.allclose(M.T @ dy, dx.ravel()) and np.allclose(dW, dW_kernel.ravel()) and dbias[0] == dy.sum()

# %% [markdown]
# ## Time, frequency and channels
#
# In a spectrogram the kernel has I frames x J bins, and slides in both directions. An input has C channels, each
# computed by one kernel of the layer before, and D kernels compute D new channels. After the sum, negative values
# become zero (ReLU). Without this, any number of layers would be one linear map.
#
#     y[b, t, f, d] = ReLU( bias[d] + Σ_i Σ_j Σ_c x[b, t st + i - pt, f sf + j - pf, c] W[i, j, c, d] )
#
# Here are two kernels made by hand, on spectrograms of synthetic speech: one responds to a sudden rise in time, the
# other to a ridge in frequency, such as a harmonic. A network has to learn its kernels.

# %%
corpus = synthetic.load(size=10)
sounds = [corpus.read(utterance)[0] for utterance in corpus.utterances[:3]]
spectrograms = [stft.forward(sound, stft.hann(1024), 512, 257, 1e-2) for sound in sounds]
lengths = np.array([len(S) for S in spectrograms])
batch = np.full((3, lengths.max(), 257, 1), np.nan, np.float32)  # NaN: reading past an end shows in the result
for b, S in enumerate(spectrograms):
    batch[b, : lengths[b], :, 0] = S - S.mean()
kernels = np.zeros((3, 5, 1, 2), np.float32)
kernels[0, :, 0, 0], kernels[2, :, 0, 0] = -0.2, 0.2  # later minus sooner
kernels[:, :, 0, 1] = np.array([-1, 0.5, 1, 0.5, -1]) / 3  # a ridge minus its sides
bias, stride = np.zeros(2, np.float32), (1, 2)
y = conv2d.forward(batch, lengths, kernels, bias, stride)
print(f"\nin {batch.shape}, out {y.shape}")
for b in range(3):
    S = np.nan_to_num(batch[b, : lengths[b], :, 0])
    by_scipy = correlate(np.pad(S, ((1, 1), (2, 2))), kernels[:, :, 0, 1], "valid")[:, ::2]
    assert np.allclose(np.maximum(by_scipy, 0), y[b, : lengths[b], :, 1], atol=1e-4)
    assert np.all(y[b, lengths[b] :] == 0)

# %% [markdown]
# ## An utterance does not depend on its batch
#
# Utterances of unequal lengths are stored in one array. The elements past an end are padding: they count as zero,
# nothing is computed there, and their NaN did not reach the result. So an utterance has the same outputs alone and in
# any batch, bit by bit.

# %%
first, frames = int(np.argmin(lengths)), lengths.min()
alone = conv2d.forward(batch[first : first + 1, :frames].copy(), lengths[first : first + 1], kernels, bias, stride)
assert np.array_equal(alone[0], y[first, :frames])
print(f"the shortest utterance, {frames} frames: alone and in the batch the same {alone.size} elements")

# %% [markdown]
# ## Is the backward pass the derivative?
#
# We ask this for every kernel: change each element a little, see how the loss changes, and compare. Two precautions are
# often missing: the upstream gradient dy is random, never all ones; and the finite differences are of fourth order in
# float64, so that the tolerance can be 1e-8. At the kink of a ReLU there is no derivative, so a step that would cross
# it is made shorter.

# %%
rng = np.random.default_rng(1)
shapes, unequal = {"x": (2, 6, 5, 2), "W": (3, 2, 2, 3), "bias": (3,)}, np.array([6, 3])
inputs = {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def forward(x, W, bias, relu=True):
    return conv2d.forward(x, unequal, W, bias, (2, 2), relu)


def backward(dy, x, W, bias):
    dW, dbias = np.zeros_like(W), np.zeros_like(bias)
    dx = conv2d.backward(dy, x, forward(x, W, bias), unequal, W, (2, 2), dW, dbias)
    return {"x": dx, "W": dW, "bias": dbias}


reports = check(forward, backward, inputs, time_axis={"x": 1}, kinks=lambda **inputs: forward(**inputs, relu=False))
print("\nbackward against differences of our forward pass:", *reports, sep="\n")
require(reports)
assert np.allclose(
    forward(**inputs), reference.conv2d.forward(inputs["x"], unequal, inputs["W"], inputs["bias"], (2, 2))
)

# %%
figure, axes = plt.subplots(2, 2, figsize=(10, 6.4), layout="constrained", height_ratios=[1, 1.4])
axes[0, 0].imshow(M, cmap="RdBu", vmin=-2.5, vmax=2.5)
axes[0, 0].set(title="M: rows make y, columns make dx", xlabel="input u", ylabel="output t")
for t, u in np.argwhere(M):
    axes[0, 0].text(u, t, f"{M[t, u]:g}", ha="center", va="center")
panels = {"input": batch[0, ..., 0], "rises": y[0, ..., 0], "ridges": y[0, ..., 1]}
for axis, (name, values) in zip(axes.ravel()[1:], panels.items(), strict=True):
    shown = values[: lengths[0]].T
    size, top = (0, lengths[0], 0, 4), np.quantile(shown, 0.99)
    axis.imshow(shown, origin="lower", aspect="auto", cmap="magma", extent=size, vmax=top)
    axis.set(title=name, xlabel="frame", ylabel="kHz")
save(figure, "04_conv2d")

# %% [markdown]
# ## What to try
#
# - A stride of 3 with 2 weights in time: which inputs have a gradient of 0, and why? (Every third, from u = 2 on: no
#   stop reads it.)
# - A batch has 100 frames, and one of its utterances has 37. How many frames do the batch and this utterance have after
#   time strides 2, 2, 2, 1? (13 and 5.)
# - The last column of "rises" is slightly brighter from top to bottom. What rises there? (No sound: silence is below
#   the mean and so has negative values, and the zeros past the end are larger.)
# - Why is there no ReLU in `M`? (ReLU is not linear. Its backward pass keeps dy where y > 0: one more factor, 0 or 1.)
# - Your turn: `tutorials/exercises/conv2d_forward.py` and `conv2d_backward.py`, and for CUDA `cuda_conv2d_forward.py`,
#   judged for example by `python -m scratchser.check tutorials/exercises/conv2d_backward.py`.
