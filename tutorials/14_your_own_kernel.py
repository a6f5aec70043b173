"""
14. A kernel of your own
========================

You will write a kernel that is not in the package, and show that it is right: a reference in NumPy,
a forward and a backward pass for the CPU with Numba, a gradient check, and a CUDA kernel that runs
without a GPU. On the way we plant typical mistakes, to see what each tool says about them and
which mistakes it cannot see. At the end you meet the judge of the exercises, and see where to
begin.

You need tutorial 1. Steps 4 and 5 also need the chain rule; tutorial 4 explains the gradient check
in detail.
"""

# %%
# Step 1: say what it computes
# ----------------------------
#
# A **gated linear unit** lets each feature decide how much of another one passes. A frame has 2D
# numbers: D values a, and D gates g. The sigmoid turns a gate into a factor between 0 and 1. Each
# of the D units has one learned parameter :math:`\beta`, which opens or closes its gate in all
# frames alike.
#
# .. math:: y_{btd} = a_{btd} \; \sigma(g_{btd} + \beta_d), \qquad \sigma(z) = \frac{1}{1 + e^{-z}}
#
# Before any code, write down the shapes and the edge cases:
#
# - x (B, T, 2D): the values, then the gates, of each frame; y (B, T, D); beta (D,)
# - lengths (B,): the frames of each utterance. Past its end, nothing is read, and y is 0.
#
# The last line is easy to forget, and a mistake there is hard to see.

import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from numba import cuda, njit

from scratchser.gradcheck import check, complex_step, require
from scratchser.tracer import trace
from scratchser.tracer.drawing import draw


# sphinx_gallery_start_ignore
def draw_gate():
    t = np.linspace(0, 1, 200)
    a, g = np.sin(30 * t), 8 * np.sin(5 * t) - 3
    _, axes = plt.subplots(1, 3, figsize=(8, 2.4), layout="constrained")
    panels = {"value a": a, "factor σ(g + β)": 1 / (1 + np.exp(-g)), "output y": a / (1 + np.exp(-g))}
    for n, (axis, (name, values)) in enumerate(zip(axes, panels.items(), strict=True)):
        axis.plot(t, values, color=f"C{n}")
        axis.axhline(0, color="black", lw=0.6)
        axis.set(xlabel="time", ylim=(-1.1, 1.1))
        axis.set_title(name, fontsize=11)


# sphinx_gallery_end_ignore
draw_gate()
plt.show()

# %%
# Step 2: a reference that is obviously right
# -------------------------------------------
#
# The reference follows the definition, one utterance after the other. It may be slow, but it must
# not share a line with the kernel. If the formula also works for complex numbers, a second kind of
# gradient check becomes possible.


def reference(x, beta, lengths):
    B, T, D = x.shape[0], x.shape[1], x.shape[2] // 2
    y = np.zeros((B, T, D), np.result_type(x, beta))
    for b in range(B):
        frames = x[b, : lengths[b]]
        y[b, : lengths[b]] = frames[:, :D] / (1 + np.exp(-(frames[:, D:] + beta)))
    return y


# %%
# Then difficult inputs: unequal lengths, one utterance of a single frame, and **NaN past the end**.
# Every sum and every product with NaN is NaN, so the output shows whether a kernel has used the
# padding.

B, T, D = 3, 5, 4
lengths = np.array([5, 1, 3])
rng = np.random.default_rng(0)
x = rng.standard_normal((B, T, 2 * D))
x[np.arange(T) >= lengths[:, None]] = np.nan
beta = rng.standard_normal(D)
right = reference(x, beta, lengths)
print(f"y {right.shape}, zero past the end: {(right[1, 1:] == 0).all()}")

# %%
# Step 3: forward
# ---------------
#
# Numba compiles loops over single elements. The kernel writes into an array that the caller gives,
# as all kernels of the package do. ``one`` has the dtype of x. A bare ``1.0`` is float64, and a
# part of a float32 kernel would then compute in float64.


@njit
def sigmoid(z):
    one = type(z)(1)
    return one / (one + math.exp(-z))


@njit
def forward_cpu(x, beta, lengths, y):
    B, D = y.shape[0], y.shape[2]
    for b in range(B):
        for t in range(lengths[b]):
            for d in range(D):
                y[b, t, d] = x[b, t, d] * sigmoid(x[b, t, D + d] + beta[d])
        y[b, lengths[b] :] = 0


def forward(x, beta):
    y = np.empty((B, T, D), x.dtype)
    forward_cpu(x, beta, lengths, y)
    return y


difference = np.abs(forward(x, beta) - right).max()
print(f"largest difference to the reference: {difference:.1e}")
assert difference < 1e-15

# %%
# And the first planted mistake. This kernel works on all T frames, because the author thinks that
# padding does no harm. What will the test say?


@njit
def without_lengths(x, beta, y):
    B, T, D = y.shape
    for b in range(B):
        for t in range(T):
            for d in range(D):
                y[b, t, d] = x[b, t, d] * sigmoid(x[b, t, D + d] + beta[d])


y = np.empty((B, T, D))
without_lengths(x, beta, y)
wrong = np.argwhere(np.isnan(y))
print(f"{len(wrong)} of {y.size} elements are NaN, the first at {wrong[0]}")
assert len(wrong) == 6 * D

# %%
# With zeros in the padding this mistake would have been invisible: y would be 0 there, too.
#
# Step 4: backward
# ----------------
#
# Given dy, the gradient of the loss with respect to y, we need the gradients of a, g and
# :math:`\beta`. With :math:`s = \sigma(g + \beta)` and :math:`\sigma' = s (1 - s)`, the chain rule
# gives
#
# .. math:: da = dy \, s, \qquad dg = dy \, a \, s \, (1 - s), \qquad
#           d\beta_d \mathrel{+}= \sum_{b,t} dg_{btd}
#
# The package's convention: gradients of activations are written, gradients of parameters are
# *added* to what is already there.


@njit
def backward_cpu(dy, x, beta, lengths, dx, dbeta):
    B, D = dy.shape[0], dy.shape[2]
    for b in range(B):
        for t in range(lengths[b]):
            for d in range(D):
                a = x[b, t, d]
                s = sigmoid(x[b, t, D + d] + beta[d])
                dg = dy[b, t, d] * a * s * (type(s)(1) - s)
                dx[b, t, d] = dy[b, t, d] * s
                dx[b, t, D + d] = dg
                dbeta[d] += dg
        dx[b, lengths[b] :] = 0


def backward(dy, x, beta):
    dx, dbeta = np.empty_like(x), np.zeros_like(beta)
    backward_cpu(dy, x, beta, lengths, dx, dbeta)
    return {"x": dx, "beta": dbeta}


# %%
# Step 5: check the gradient
# --------------------------
#
# ``check`` moves every element of every input a little and compares the change of the output with
# our gradient. ``complex_step`` does the same with the reference and an imaginary step, which is
# exact to rounding. Both use a random dy. ``docs/gradcheck.md`` explains why.

inputs = {"x": x, "beta": beta}
reports = check(forward, backward, inputs, time_axis={"x": 1})
reports += complex_step(lambda x, beta: reference(x, beta, lengths), backward, inputs)
print(*reports, sep="\n")
require(reports)

# %%
# Now three planted mistakes. Which of them will the gradient check find?
#
# 1. ``1 - s`` is forgotten in dg.
# 2. The gradients of a and of g are swapped.
# 3. ``dbeta[d] = dg``: the last frame replaces the sum.
#
# Write down your guess for each, and which gradient fails.


def planted(mistake):
    def wrong(dy, x, beta):
        d = {name: values.copy() for name, values in backward(dy, x, beta).items()}
        if mistake == "1 - s is forgotten":
            s = 1 / (1 + np.exp(-(x[..., D:] + beta)))
            d["x"][..., D:] = np.where(np.isnan(s), 0, dy * x[..., :D] * s)
        elif mistake == "da and dg are swapped":
            d["x"] = np.concatenate([d["x"][..., D:], d["x"][..., :D]], axis=2)
        else:
            d["beta"] = d["x"][-1, lengths[-1] - 1, D:]
        return d

    return wrong


mistakes = (
    "1 - s is forgotten",
    "da and dg are swapped",
    "the last frame replaces the sum",
)
for mistake in mistakes:
    reports = check(forward, planted(mistake), inputs)
    print(f"{mistake}:", *reports, sep="\n  ")
    assert not all(report.passed for report in reports)

# %%
# Each is found. A line says which gradient is wrong, where the error is largest, and by what
# factor. A simple factor, such as 2 or -1, is a strong hint. Other factors, as here, say that a
# term is missing or an index is wrong.
#
# But there is a mistake that this check cannot see. Let backward *replace* an old gradient in
# ``dbeta`` instead of adding to it. Then every single call is right. Only a second call finds it:

dy = rng.standard_normal((B, T, D))
dx, dbeta = np.empty_like(x), np.zeros_like(beta)
backward_cpu(dy, x, beta, lengths, dx, dbeta)
once = dbeta.copy()
backward_cpu(dy, x, beta, lengths, dx, dbeta)
print("after the second call:", dbeta / once)
assert np.allclose(dbeta, 2 * once, rtol=1e-15)

# %%
# Step 6: float32
# ---------------
#
# Gradients are checked in float64, but we train in float32. It is the same code. So compare the
# two: the difference should be a few units of the last digit, about 1e-7.

small_y = np.empty((B, T, D), np.float32)
forward_cpu(x.astype(np.float32), beta.astype(np.float32), lengths, small_y)
error = np.abs(small_y - right).max() / np.abs(right).max()
print(f"float32 against float64: {error:.1e}")
assert error < 5e-7

# %%
# Step 7: a CUDA kernel
# ---------------------
#
# On a GPU the loops disappear. Each element of y has its own thread. Neighbouring threads should
# access neighbouring elements. So threads 0 to D - 1 have the units of the first frame, the next D
# threads those of the second frame, and so on through all utterances. The *tracer* runs the kernel
# without a GPU, thread by thread, and records every access (tutorial 1).
#
# How many reads of global memory will it count? 36 of the 60 elements of y are real.


@cuda.jit
def forward_cuda(x, beta, lengths, y):
    B, T, D = y.shape
    n = cuda.grid(1)
    if n < B * T * D:
        d, t, b = n % D, n // D % T, n // (D * T)
        if t < lengths[b]:
            z = x[b, t, D + d] + beta[d]
            y[b, t, d] = x[b, t, d] / (x.dtype.type(1) + math.exp(-z))
        else:
            y[b, t, d] = 0


THREADS = 32
y = np.empty((B, T, D))
blocks = math.ceil(y.size / THREADS)
report = trace(forward_cuda, blocks, THREADS, x, beta, lengths, y)
report.require_clean()
print(f"largest difference to the reference: {np.abs(y - right).max():.1e}")
print(report.counts)
assert np.abs(y - right).max() < 1e-15

# %%
# Each of the 60 threads reads its length, and each of the 36 real
# elements reads a, g and beta: 60 + 3 · 36 = 168. The count is a score that needs no GPU.

assert report.counts.global_reads.total == 60 + 3 * 36
assert report.counts.global_writes.total == 60

# %%
# For a drawing we take a smaller batch: two utterances of two frames, the second with one real
# frame, and two units. So y has eight elements, and two of them are padding. Which elements of x
# does no thread read?

tiny = x[:2, :2, [0, 1, D, D + 1]].copy()
tiny_y = np.empty((2, 2, 2))
report = trace(forward_cuda, 1, 8, tiny, beta[:2], np.array([2, 1]), tiny_y)
draw(report, "forward_cuda")
plt.show()
report.require_clean()

# %%
# No thread reads the last row of x, the frame past the end of the second utterance.
#
# A common mistake is to forget ``if n < B * T * D``. All blocks have the same size, so there can be
# more threads than elements. Here are two blocks of six threads for eight elements. What will the
# tracer report?


@cuda.jit
def unguarded_cuda(x, beta, lengths, y):
    T, D = y.shape[1], y.shape[2]
    n = cuda.grid(1)
    d, t, b = n % D, n // D % T, n // (D * T)
    if t < lengths[b]:
        z = x[b, t, D + d] + beta[d]
        y[b, t, d] = x[b, t, d] / (x.dtype.type(1) + math.exp(-z))
    else:
        y[b, t, d] = 0


report = trace(unguarded_cuda, 2, 6, tiny, beta[:2], np.array([2, 1]), tiny_y)
print(*report.faults()[:2], sep="\n")
assert report.out_of_range

# %%
# Step 8: a sum over threads
# --------------------------
#
# ``dbeta`` is harder, because many threads contribute to one element. The first idea is that each
# thread adds its dg. What is wrong with it?


@cuda.jit
def racing_cuda(dy, x, beta, lengths, dbeta):
    B, T, D = dy.shape
    n = cuda.grid(1)
    if n < B * T * D:
        d, t, b = n % D, n // D % T, n // (D * T)
        if t < lengths[b]:
            one = x.dtype.type(1)
            s = one / (one + math.exp(-(x[b, t, D + d] + beta[d])))
            dbeta[d] += dy[b, t, d] * x[b, t, d] * s * (one - s)


tiny_dy = rng.standard_normal((2, 2, 2))
report = trace(racing_cuda, 1, 8, tiny_dy, tiny, beta[:2], np.array([2, 1]), np.zeros(2))
print(report.races[0])
draw(report, "racing_cuda")
plt.show()
assert report.races

# %%
# Two threads can read the same old sum, add, and write: one addition is lost. On a GPU this kernel
# is wrong *sometimes*, which is worse than always, because a test can miss it. A safe version has
# one thread for each unit, and this thread adds up the frames in order. It gives the same bits each
# time.


@cuda.jit
def dbeta_cuda(dy, x, beta, lengths, dbeta):
    B, D = dy.shape[0], dy.shape[2]
    d = cuda.grid(1)
    if d < D:
        one = x.dtype.type(1)
        total = x.dtype.type(0)
        for b in range(B):
            for t in range(lengths[b]):
                s = one / (one + math.exp(-(x[b, t, D + d] + beta[d])))
                total += dy[b, t, d] * x[b, t, d] * s * (one - s)
        dbeta[d] += total


on_gpu = np.zeros(D)
trace(dbeta_cuda, 1, 32, dy, x, beta, lengths, on_gpu).require_clean()
print(f"largest difference to the CPU: {np.abs(on_gpu - once).max():.1e}")
assert np.abs(on_gpu - once).max() < 1e-12

# %%
# D threads are few for a GPU. The next step would be one block for each unit. Its threads divide
# the frames among them and add their partial sums in shared memory. The exercises
# ``cuda_block_sum`` and ``cuda_reduction`` do this.
#
# Three kinds of evidence
# -----------------------
#
# What do we know now, and what do we not know?
#
# - The tracer ran the CUDA kernels *as Python*. It knows indices, races, barriers and counts. It
#   does not know whether the compiler accepts the kernel, nor how the GPU rounds.
# - ``python -m scratchser.bench --ptx`` compiles the package's kernels without a GPU. It counts
#   float64 instructions, and registers that are spilled: moved to slow memory, because there are
#   too few.
# - Only a GPU shows that a kernel runs there, and how fast: ``docs/gpu.md``.
#
# The judge
# ---------
#
# The exercises are such functions with an empty body. The judge does for you what we did by hand:
# reference, difficult cases, NaN past the end, gradient check, tracer. It also recognises typical
# mistakes. Let us give it the backward pass of a dense layer with a mistake. Can you see it?

attempt = """
EXERCISE = "linear_backward"

def linear_backward(dy, x, W, dW, db):
    dW += x.T @ dy
    db[:] = dy.sum(axis=0)
    return dy @ W.T
"""
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder, "mine.py")
    file.write_text(attempt)
    command = [sys.executable, "-m", "scratchser.check", file.name]
    path = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONUTF8": "1"}
    here = {"cwd": folder, "env": environment}
    done = subprocess.run(command, **here, capture_output=True, encoding="utf-8")
print(done.stdout)
assert done.returncode != 0
assert "FAIL" in done.stdout

# %%
# It shows which output is wrong, an element with the value that it should have, and the mistake:
# ``=`` where the gradient must be added. This is the mistake of step 5 that a gradient check cannot
# see.
#
# Where to begin?
# ---------------
#
# The exercises are in ``tutorials/exercises``. Each file has the formula, the shapes and the
# signature.
#
# - **You want an easy start**: ``linear_backward.py``. Three lines of NumPy are enough.
# - **You want to derive gradients**: ``softmax_loss_derive.py``, then ``conv2d_backward_derive.py``
#   and ``lstm_backward_derive.py``. They do not give the formula. The files without ``_derive`` do.
# - **You want to write CUDA**: ``cuda_saxpy.py``, then ``cuda_block_sum.py``, ``cuda_reduction.py``
#   and ``cuda_matmul_tiled.py``.
# - **You want to find a mistake**: ``cuda_find_the_race.py``.
#
# With ``--draw mine.svg``, the judge also draws the reads and writes of a CUDA kernel.
# ``docs/exercises.md`` has all exercises and options.
#
# What to try
# -----------
#
# 1. Replace the sigmoid by a tanh in forward and reference. What must change in backward?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       The derivative of the tanh is 1 - s², so dg = dy a (1 - s²). If you forget it, the gradient
#       check fails for x (its gate half) and for beta, and passes for the value half.
#
# 2. In ``forward_cuda``, let the thread's number count frames first: ``t = n % T``, and ``d = n //
#    T % D``. Is the kernel still right? What does it cost on a GPU?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       It is right, and the tracer counts the same accesses. But neighbouring threads now access
#       elements that are 2D apart, so a warp needs many memory transactions (tutorial 1 counts
#       them).
#
# 3. In ``backward_cpu``, the author forgets ``dx[b, lengths[b] :] = 0``. Which check finds this?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       The gradient check: the gradient past the end must be exactly 0, and ``np.empty_like``
#       leaves old memory there. But old memory is sometimes 0. So fill the array with NaN before
#       the call, as the package's tests do.
#
# 4. Write the backward of x as a CUDA kernel, one thread for each element of dy, and trace it.
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       It is ``forward_cuda`` with two writes: da to ``dx[b, t, d]`` and dg to ``dx[b, t, D + d]``,
#       and both 0 past the end. No two threads write one element, so there is no race. Compare with
#       ``backward_cpu``.
#
# **Your turn.** Find the mistake in ``tutorials/exercises/cuda_find_the_race.py``, then write
# ``tutorials/exercises/cuda_reduction.py``. This command judges the first one without a GPU::
#
#     python -m scratchser.check tutorials/exercises/cuda_find_the_race.py
