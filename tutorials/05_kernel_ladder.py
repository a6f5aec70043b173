# %% [markdown]
# # 5. A ladder of kernels
#
# You will see why the same multiplications in another order take much less time. On a CPU we measure the time; for a
# GPU we count memory accesses, which needs no GPU. The ladder leads from the loops that everybody writes to the
# package's tile.
#
# It builds on the tracer of tutorial 1 and the convolution of tutorial 4. Everything runs on one core.

# %%
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # for NumPy's product, which is the goal

import matplotlib.pyplot as plt
import numba
import numpy as np
from _figures import save
from _timing import race
from numba import cuda, float32, njit
from numpy.lib.stride_tricks import sliding_window_view

from scratchser.kernels import conv2d, matmul
from scratchser.kernels.matmul import Operand
from scratchser.kernels.parts.tile_cuda import THREADS, tiles
from scratchser.tracer import trace

numba.set_num_threads(1)
rng = np.random.default_rng(0)

# %% [markdown]
# ## The matrix product: measured time
#
#     C[i, j] = Σ_k A[i, k] B[k, j]          2 M N K operations, whatever the order of the three loops
#
# **By element**: C[i, j] is a sum over k. In a column of B, each step jumps over a whole row in memory. And since each
# addition waits for the one before, the vector units, which add 8 or 16 elements at a time, are not used.
#
# **By row** exchanges two loops: a row of B, times one element of A, is added to a row of C. The elements of a row are
# neighbours in memory, and their sums do not wait for each other. But C is loaded and stored again and again, two
# accesses for each product.


# %%
@njit
def by_element(A, B, C):
    for i in range(C.shape[0]):
        for j in range(C.shape[1]):
            C[i, j] = 0
            for k in range(A.shape[1]):
                C[i, j] += A[i, k] * B[k, j]
    return C


@njit
def by_row(A, B, C):
    C[:] = 0
    for i in range(C.shape[0]):
        for k in range(A.shape[1]):
            for j in range(C.shape[1]):
                C[i, j] += A[i, k] * B[k, j]
    return C


# %% [markdown]
# **Ours** is `kernels/matmul.py`: a tile of 6 or 12 rows and 16 columns of C stays in registers for the whole of k, and
# is loaded and stored once. One vector of B serves all rows of the tile, with one fused multiply-add for each row.
# Numba does not compile loops to this, so the tile is written in LLVM's instructions. The goal is the speed of NumPy's
# BLAS, the work of many years.

# %%
A, B, C = (rng.standard_normal((256, 256)).astype(np.float32) for _ in range(3))


def ours(A, B, C):
    C[:] = 0
    a, b = Operand(A.ravel(), A.shape[1], 1), Operand(B.ravel(), B.shape[1], 1)
    matmul.add_product(a, b, C.reshape(-1), len(A), B.shape[1], len(B))
    return C


rungs = {"by element": by_element, "by row": by_row, "ours": ours, "NumPy's BLAS": np.matmul}
rungs = {name: lambda rung=rung: rung(A, B, C) for name, rung in rungs.items()}
products = race(rungs, A.astype(np.float64) @ B, 2 * 256**3)

# %% [markdown]
# ## The convolution is a matrix product
#
# Its windows are the rows of a matrix, one for each output position, with I J C elements each. The loops **as written**
# do not use this. In **windows copied**, the windows are copied into such a matrix (im2col). With stride 1 each element
# of x is copied I J = 25 times, which costs memory but saves time. **Ours**, `kernels/conv2d.py`, makes no such copy:
# the elements of a window that meet one row of the convolution kernel are already contiguous in x, so the tile reads
# them directly from x.


# %%
@njit
def as_written(x, W, y):
    (T, F, C), (I, J, _, D) = x.shape, W.shape
    y[:] = 0
    for t in range(T):
        for f in range(F):
            for i in range(max(0, I // 2 - t), min(I, T + I // 2 - t)):
                for j in range(max(0, J // 2 - f), min(J, F + J // 2 - f)):
                    for c in range(C):
                        for d in range(D):
                            y[t, f, d] += x[t + i - I // 2, f + j - J // 2, c] * W[i, j, c, d]
    return y


x, W, y = (rng.standard_normal(s).astype(np.float32) for s in ((32, 32, 16), (5, 5, 16, 32), (32, 32, 32)))


def windows_copied():
    windows = sliding_window_view(np.pad(x, ((2, 2), (2, 2), (0, 0))), (5, 5), (0, 1))
    rows = windows.transpose(0, 1, 3, 4, 2).reshape(1024, 400)  # which copies
    return ours(rows, W.reshape(400, 32), y.reshape(1024, 32)).reshape(y.shape)


rungs = {"as written": lambda: as_written(x, W, y), "windows copied": windows_copied}
rungs["ours"] = lambda: conv2d.forward(x[None], np.array([32]), W, np.zeros(32, np.float32), (1, 1), relu=False)[0]
right = as_written(x.astype(np.float64), W.astype(np.float64), np.empty(y.shape))
convolutions = race(rungs, right, 2 * y.size * 400)

# %% [markdown]
# ## On a GPU: count what is loaded
#
# On a GPU, arithmetic waits for memory, so we count accesses instead of time: how many elements of global memory are
# read for each product? With **a thread for each element** of C it is two. In **ours**, `matmul.product_cuda`, a block
# loads parts of A and B into shared memory for a tile of 64 x 32 elements: (64 + 32) / (64 · 32), and 1 / K for the
# initial value of C. From shared memory a thread reads 8 + 4 elements for the 8 x 4 products that it does with them.


# %%
@cuda.jit
def thread_for_each(A, B, C):
    j, i = cuda.grid(2)
    total = float32(0)
    for k in range(A.shape[1]):
        total += A[i, k] * B[k, j]
    C[i, j] = total


M, N, K = 64, 32, 32
A, B, C = A[:M, :K].copy(), B[:K, :N].copy(), C[:M, :N].copy()
# flat, each with the steps from row to row, column to column, matrix to matrix; C begins with zeros; all of k at once
flat = A.ravel(), K, 1, 0, B.ravel(), N, 1, 0, np.zeros(N, np.float32), 0, 0, C.ravel(), 0, M, N, K, K
launches = {"a thread for each": (thread_for_each, (4, 8), (8, 8), A, B, C)}
launches["ours"], reads = (matmul.product_cuda, (tiles(M, N), 1), THREADS, *flat), {}
for name, launch in launches.items():
    C[:] = np.nan
    (report := trace(*launch)).require_clean()
    assert np.abs(C - A @ B).max() < 1e-5
    reads[name], shared = (n.total / (M * N * K) for n in (report.counts.global_reads, report.counts.shared_reads))
    print(f"{name:20}{reads[name]:7.3f} global and {shared:.3f} shared reads for each product")
assert list(reads.values()) == [2, (64 + 32) / (64 * 32) + 1 / K]

# %%
figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
panels = {"matrix product, ms": products, "convolution, ms": convolutions, "GPU: reads for each product": reads}
for axis, (title, numbers) in zip(axes, panels.items(), strict=True):
    bars = axis.barh(list(numbers), list(numbers.values()), log=True, color=[f"C{i}" for i in range(len(numbers))])
    axis.bar_label(bars, fmt="%.3g", padding=3)
    axis.set(title=title, xlabel="logarithmic", xlim=(min(numbers.values()) / 3, 4 * max(numbers.values())))
    axis.tick_params(which="both", bottom=False, labelbottom=False)
    axis.invert_yaxis()
save(figure, "05_kernel_ladder")

# %% [markdown]
# ## What to try
#
# - Let "by row" take four rows at a time, so that each loaded element of B serves four products. How much does it help?
#   (In our measurement it took 0.65 ms, "by row" 0.98 ms and ours 0.37 ms.)
# - Let a thread of `thread_for_each` compute four neighbouring elements of a row. How many reads are there for each
#   product? (5 / 4: an element of A serves four products.) And if a block loads tiles of 8 x 8? (1 / 4.) Write this
#   kernel yourself:
# - Your turn: `tutorials/exercises/cuda_matmul_tiled.py`, judged by
#   `python -m scratchser.check tutorials/exercises/cuda_matmul_tiled.py`.
