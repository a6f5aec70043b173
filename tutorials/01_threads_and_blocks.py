# %% [markdown]
# # 1. Threads and blocks
#
# You will see what a CUDA kernel is, how a thread finds its element, what a block's shared memory and its
# barrier are for, and how to see a race, an index out of range and the cost of a kernel without a GPU.
#
# This is the first tutorial: you need only Python and NumPy.

# %%
import os

os.environ.setdefault("NUMBA_ENABLE_CUDASIM", "1")  # Numba's simulator; =0 is a real GPU (needs a card)

import matplotlib.pyplot as plt
import numpy as np
from _figures import save
from numba import cuda, float32

from scratchser.kernels import norms
from scratchser.tracer import trace

# %% [markdown]
# ## From a loop to threads
#
# A CPU squares ten numbers in a loop: `for i in range(10): y[i] = x[i] * x[i]`. A GPU has thousands of arithmetic
# units, and a loop would use only one of them. So the loop disappears: its body is run by one *thread* for each
# element. The loop's index becomes the thread's index in the launch:
#
#     i = blockIdx · blockDim + threadIdx
#
# Threads are grouped in *blocks* of equal size, so the index has two parts. `square[3, 4]` launches 3 blocks of 4
# threads.


# %%
@cuda.jit
def square(x, y):
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x  # cuda.grid(1) is short for it
    if i < x.size:
        y[i] = x[i] * x[i]


x = np.arange(10, dtype=np.float32)
y = np.zeros(10, np.float32)
square[3, 4](x, y)
print("squares:", y)
assert np.array_equal(y, x**2)

# %% [markdown]
# ## Why the `if` is there
#
# 3 · 4 = 12 threads were launched for 10 elements, because all blocks have the same size. Threads 10 and 11 must do
# nothing. Without the `if` a GPU writes past the end, usually without an error, and changes some other array. The
# *tracer* runs the same Python code thread by thread, and checks every access.


# %%
@cuda.jit
def unguarded(x, y):
    i = cuda.grid(1)
    y[i] = x[i] * x[i]


report = trace(unguarded, 3, 4, x, y)
print("\nwithout the if:", report.out_of_range[0])
assert {fault.array for fault in report.out_of_range} == {"x", "y"}
trace(square, 3, 4, x, y).require_clean()  # with the `if` there is no fault

# %% [markdown]
# ## Threads run in no fixed order
#
# All threads add to one element: `total[0] += x[i]` reads, adds and writes. Two threads may both read 5, add their own
# element and write the sum: then one of the two additions is lost. Such a *race* often has no effect, so running the
# kernel and looking at the sum proves nothing. The tracer finds two threads that access one address in no fixed order.


# %%
@cuda.jit
def racing_sum(x, total):
    i = cuda.grid(1)
    if i < x.size:
        total[0] += x[i]


total = np.zeros(1, np.float32)
report = trace(racing_sum, 1, 10, x, total)
print("\nthe sum is", total[0], "and still:", report.races[0])
assert total[0] == x.sum() and report.races

# %% [markdown]
# ## What a block shares
#
# The threads of one block share a small, fast memory, and they have a *barrier*: `cuda.syncthreads()` stops every
# thread until all threads of the block have reached it. What one thread writes before the barrier, every thread of the
# block can read after it. Here each thread reads an element that another thread has loaded, so that the elements of
# each block are reversed.


# %%
@cuda.jit
def reversed_blocks(x, y, wait):
    part = cuda.shared.array(4, float32)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    part[t] = x[i]
    if wait:
        cuda.syncthreads()  # now all four elements are loaded
    y[i] = part[3 - t]


trace(reversed_blocks, 2, 4, x[:8], y[:8], True).require_clean()
print("\neach block reversed:", y[:8])
assert np.array_equal(y[:8], [3, 2, 1, 0, 7, 6, 5, 4])
report = trace(reversed_blocks, 2, 4, x[:8], y[:8], False)
print("without the barrier:", report.uninitialised[0])
assert report.uninitialised and report.races

# %% [markdown]
# ## A sum without a race
#
# With shared memory and barriers the elements of a block can be added without a race: add one half to the other half,
# and repeat this until one element is left. Each addition has its own thread, and there is a barrier before each step.
# This is `kernels/machine/block_sum.py`. In `norms.chunks_cuda` each of 256 threads first adds up its share of the
# squares. It computes the gradient norms of the paper's figure 4.

# %%
dW = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
sums = np.zeros(1, np.float32)
report = trace(norms.chunks_cuda, 1, norms.THREADS, dW, np.array([[0, 1000]], np.int32), sums)
report.require_clean()
right = np.sum(dW.astype(np.float64) ** 2)
print(f"\nsum of 1000 squares: {sums[0]:.4f}, by NumPy in float64 {right:.4f}")
assert abs(sums[0] - right) < 1e-6 * right

# %% [markdown]
# ## What a kernel costs
#
# Arithmetic is cheap on a GPU, loading is not: an element of global memory takes hundreds of cycles, one of shared
# memory about thirty. So the tracer's count of accesses is a score that needs no GPU. Here each of the 1000 elements is
# read once, and each of 256 threads reads the beginning and the end of the range.

# %%
print(report.counts)
assert report.counts.global_reads.total == 1000 + 2 * 256
assert report.counts.shared_reads.total == 2 * 255 + 1  # two for each of 255 additions, and the result

# %%
figure, (above, below) = plt.subplots(2, 1, figsize=(9, 5.2), layout="constrained", height_ratios=[1, 2.2])
for i in range(12):
    above.add_patch(plt.Rectangle((i - 0.47, 0), 0.94, 1, color=f"C{i // 4}", alpha=0.75 if i < 10 else 0.15))
    above.text(i, 0.5, f"block {i // 4}\nthread {i % 4}", ha="center", va="center", fontsize=8)
above.set(xlim=(-0.5, 11.5), yticks=[], xticks=range(12), xlabel="i", title="12 threads for 10 elements: two are idle")
part, steps = np.arange(1.0, 9), np.full((4, 8), np.nan)
for step, half in enumerate((8, 4, 2, 1)):
    part[:half] += part[half : 2 * half] if step > 0 else 0
    steps[step, :half] = part[:half]
below.imshow(steps, cmap="YlGn", aspect="auto", vmin=0, vmax=60)
for step, t in np.argwhere(np.isfinite(steps)):
    below.text(t, step, f"{steps[step, t]:g}", ha="center", va="center")
below.set(yticks=range(4), yticklabels=["start", "half = 4", "half = 2", "half = 1"], xlabel="thread")
below.set(title="a block's sum: after each barrier half as many threads add")
save(figure, "01_threads_and_blocks")

# %% [markdown]
# ## What to try
#
# - Launch `square[2, 4]` with a `y` of zeros. Which two elements stay 0, and does the tracer report this? (The last
#   two. It does not: it checks accesses, and here there are none. Only a comparison with the right answer finds this.)
# - In `reversed_blocks`, let only threads with `t < 3` reach the barrier. What does the tracer report? (`divergence`; a
#   GPU may hang.)
# - How many steps does the sum of 256 elements take, and how many would one thread need? (8, and 255.)
# - Your turn: `tutorials/exercises/cuda_saxpy.py`, then `cuda_block_sum.py`; both are judged without a GPU by
#   `python -m scratchser.check tutorials/exercises/cuda_saxpy.py`.
