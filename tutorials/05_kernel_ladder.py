"""
5. A ladder of kernels
======================

You will see how the same multiplications, in another order, take a fraction of the time. The ladder
has five steps: naive, coalesced, shared-memory tile, register tile, vectors. For each step we say
what we expect, and then look at the result. For a GPU we count what moves, which needs no GPU. For
a CPU we count *and* measure.

You need tutorial 1 (warps, sectors, banks) and the convolution of tutorial 4.
"""

# %%

# sphinx_gallery_thumbnail_number = 11
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # for NumPy, before it is imported

import time
from collections import Counter, defaultdict
from functools import partial

import matplotlib.pyplot as plt
import numba
import numpy as np
from numba import cuda, float32, njit
from numpy.lib.stride_tricks import sliding_window_view

from scratchser.kernels import conv2d, matmul
from scratchser.kernels.matmul import Operand
from scratchser.kernels.parts import tile, tile_cuda, windows_cuda
from scratchser.tracer import trace
from scratchser.tracer.drawing import draw

# %%
# The task
# --------
#
# Most of the work of a network is matrix products: dense layers, LSTMs and convolutions consist of
# them.
#
# .. math:: C[i, j] = \sum_k A[i, k] \, B[k, j]
#
# For matrices of 256 x 256 this makes 256³ products, about 17 million. They may be computed in any
# order. All versions below compute exactly these products. They differ in how much they load for
# them.

rng = np.random.default_rng(0)
A, B, C = (rng.standard_normal((256, 256)).astype(np.float32) for _ in range(3))
right = A.astype(np.float64) @ B

# %%
# How to count on a GPU
# ---------------------
#
# We count as in tutorial 1. A *request* of a warp to global memory costs the sectors of 32 bytes
# that it touches. A request to shared memory costs the passes of its busiest bank.

SECTOR = 32  # bytes
BANKS = 32


def sectors(offsets):
    return len({offset // SECTOR for offset in offsets})


def passes(offsets):
    elements = {offset // 4 for offset in offsets}
    return max(Counter(element % BANKS for element in elements).values())


# %%
# Both are added over all requests and divided by the number of products.
#
# We count the accesses to A and B, and to the parts of them in shared memory, which are called a
# and b in all kernels. We leave out C, because each of its elements is written only once.

counted = {}  # name -> bytes of global memory, passes of shared memory, for each product


def count(name, report, products):
    report.require_clean()
    moved = SECTOR * sum(map(sectors, report.requests("A", "B").values())) / products
    passed = sum(map(passes, report.requests("a", "b").values())) / products
    counted[name] = moved, passed
    print(f"{name:19} {moved:6.3f} bytes and {passed:.4f} passes for each product")


# %%
# The matrices for counting are small: 64 x 32 times 32 x 64. We check each result.

M, N, K = 64, 64, 32
small_A = A[:M, :K].copy()
small_B = B[:K, :N].copy()
small_C = np.zeros((M, N), np.float32)


def run(kernel, grid, block):
    small_C[:] = np.nan
    report = trace(kernel, grid, block, small_A, small_B, small_C)
    assert np.abs(small_C - small_A @ small_B).max() < 1e-5
    return report


# %%
# Step 1, GPU: a thread for each element
# --------------------------------------
#
# The loops over i and j disappear, as in tutorial 1. A launch in two dimensions gives each thread
# two indices. Threads with neighbouring x are neighbours in a warp. In this first version x is the
# row: the threads of a warp have 32 different i and the same j.
#
# In each step of k, the warp reads 32 elements of A and one of B. How many sectors is that?


@cuda.jit
def naive(A, B, C):
    i, j = cuda.grid(2)  # the first index changes fastest
    total = float32(0)
    for k in range(A.shape[1]):
        total += A[i, k] * B[k, j]
    C[i, j] = total


# %%
# The drawing shows one step of k of the first warp. Dark cells are read, and pale cells are fetched
# but not used.

report = run(naive, (2, 2), (32, 32))
count("naive", report, M * N * K)

# sphinx_gallery_start_ignore


def draw_requests(report, arrays):
    """What the first warp touches in one step of k: dark elements are read, pale ones are fetched with them."""
    first = {}
    for (site, block, warp, turn), offsets in report.requests("A", "B").items():
        if block == warp == 0 and turn == 3:
            first[site.memory.name] = offsets
    widths = [array.shape[1] for array in arrays.values()]
    _, axes = plt.subplots(1, len(arrays), figsize=(8, 3.4), layout="constrained", width_ratios=widths)
    for axis, (name, array) in zip(axes, arrays.items(), strict=True):
        image = np.ones((*array.shape, 3))
        wanted = np.array(first[name]) // 4
        fetched = np.unique(wanted // 8)
        flat = image.reshape(-1, 3)
        for sector in fetched:
            flat[8 * sector : 8 * sector + 8] = (0.66, 0.8, 0.9)
        flat[wanted] = (0.12, 0.47, 0.71)
        axis.imshow(image, interpolation="nearest")
        axis.set(title=f"{name}, sectors: {len(fetched)}", xlabel="column", ylabel="row", ylim=(31.5, -0.5))


# sphinx_gallery_end_ignore
draw_requests(report, {"A": small_A, "B": small_B})
plt.show()
assert counted["naive"][0] == 33

# %%
# 32 elements of a *column* of A lie in 32 sectors, and B adds one. That makes 33 sectors for 32
# products: 33 bytes for each product.
#
# Step 2, GPU: coalesced
# ----------------------
#
# Exchange the two indices. Now the threads of a warp have the same i and 32 neighbouring j. How
# many sectors of A and of B do they read in each step of k?


@cuda.jit
def coalesced(A, B, C):
    j, i = cuda.grid(2)
    total = float32(0)
    for k in range(A.shape[1]):
        total += A[i, k] * B[k, j]
    C[i, j] = total


# %%
# The same drawing for this kernel:

report = run(coalesced, (2, 2), (32, 32))
count("coalesced", report, M * N * K)
draw_requests(report, {"A": small_A, "B": small_B})
plt.show()
assert counted["coalesced"][0] == 5

# %%
# One sector of A, which all threads share, and four sectors of B. That is 5 bytes instead of 33 for
# each product. If time is proportional to these bytes, exchanging two indices has an **expected
# gain of 6.6**.
#
# Step 3, GPU: a tile in shared memory
# ------------------------------------
#
# Each element of B is still read again for each of the 64 rows of C. So let the threads of a block
# work together: they load a square part of A and of B, a *tile*, into shared memory, wait at a
# barrier, and multiply from there. Each element that is loaded is used by all threads of a row or a
# column of the block.
#
# With tiles of 32 x 32, by what factor does the traffic fall?


def shared_tile(T):
    """The kernel for tiles of T x T, with T x T threads in a block."""

    @cuda.jit
    def kernel(A, B, C):
        a = cuda.shared.array((T, T), float32)
        b = cuda.shared.array((T, T), float32)
        x = cuda.threadIdx.x
        y = cuda.threadIdx.y
        j, i = cuda.grid(2)
        total = float32(0)
        for k in range(0, A.shape[1], T):
            a[y, x] = A[i, k + x]
            b[y, x] = B[k + y, j]
            cuda.syncthreads()  # both tiles are complete
            for n in range(T):
                total += a[y, n] * b[n, x]
            cuda.syncthreads()  # all threads have read them
        C[i, j] = total

    return kernel


# %%
# With tiles of 32 x 32 we have four blocks of 1024 threads, the most that a block can have.

report = run(shared_tile(32), (2, 2), (32, 32))
count("shared tile", report, M * N * K)
assert counted["shared tile"][0] == 1 / 4

# %%
# Here is the kernel with tiles of 2 x 2 for matrices of 4 x 4. Block 0 computes the upper left part
# of C. Follow thread 3, at the lower right of its block: what does it load, and what does it read
# after the barrier?

tiny_A = A[:4, :4].copy()
tiny_B = B[:4, :4].copy()
tiny_C = np.zeros((4, 4), np.float32)
report = trace(shared_tile(2), (2, 2), (2, 2), tiny_A, tiny_B, tiny_C)
report.require_clean()
draw(report, "tiles of 2 x 2")
plt.show()

# %%
# It loads one element of each tile, and reads a row of ``a`` and a column of ``b``.
#
# The traffic of global memory falls to a quarter of a byte for each product: an **expected gain of
# 20**. The tile is used 32 times, but the gain is less than 32, because in step 2 the 32 threads of
# a warp shared their element of A already.
#
# But shared memory is not free. Each product still needs two reads of it. These are two passes for
# the 32 products of a warp, or 0.0625 for each product, and a little more for loading the tiles.
#
# Step 4, GPU: a tile in registers
# --------------------------------
#
# A register is faster than any memory, and each thread has many of them. So let a thread compute
# not one element of C, but 4 x 4 of them. For each n (the index along the tile) it reads 4 elements
# of ``a`` and 4 of ``b`` and computes 16 products: 8 reads instead of 32.


def register_tile(T, R):
    """The kernel for tiles of T x T, with R x R elements of C for each thread."""
    side = T // R

    @cuda.jit
    def kernel(A, B, C):
        a = cuda.shared.array((T, T + 1), float32)  # one more, against bank conflicts
        b = cuda.shared.array((T, T), float32)
        sums = cuda.local.array((R, R), float32)  # these become registers
        row_of_b = cuda.local.array(R, float32)
        x = cuda.threadIdx.x
        y = cuda.threadIdx.y
        t = y * side + x
        i0 = cuda.blockIdx.y * T
        j0 = cuda.blockIdx.x * T
        for p in range(R):
            for q in range(R):
                sums[p, q] = 0
        for k in range(0, A.shape[1], T):
            for e in range(t, T * T, side * side):  # neighbours load neighbours
                row = e // T
                column = e % T
                a[row, column] = A[i0 + row, k + column]
                b[row, column] = B[k + row, j0 + column]
            cuda.syncthreads()  # both tiles are complete
            for n in range(T):
                for q in range(R):
                    row_of_b[q] = b[n, x + q * side]
                for p in range(R):
                    left = a[y + p * side, n]
                    for q in range(R):
                        sums[p, q] += left * row_of_b[q]
            cuda.syncthreads()  # all threads have read them
        for p in range(R):
            for q in range(R):
                C[i0 + y + p * side, j0 + x + q * side] = sums[p, q]

    return kernel


# %%
# A block of 8 x 8 threads now computes the 32 x 32 elements for which step 3 needed 32 x 32
# threads.

report = run(register_tile(32, 4), (2, 2), (8, 8))
count("register tile", report, M * N * K)
assert counted["shared tile"][1] / counted["register tile"][1] > 3

# %%
# The drawing shows tiles of 4 x 4 with 2 x 2 elements of C for each of 4 threads. After the first
# barrier, each element of ``a`` is read by two threads only, the two with the same y.

report = trace(register_tile(4, 2), 1, (2, 2), tiny_A, tiny_B, tiny_C)
report.require_clean()
draw(report, "registers of 2 x 2")
plt.show()

# %%
# The passes fall by a factor of 3.7, the **expected gain** where shared memory is the limit. It is
# not quite 4, because loading the tiles costs passes too. The extra column of ``a`` matters:
# without it, the four elements of ``a`` that a warp reads at a time would lie in one bank (tutorial
# 1).
#
# Step 5, GPU: vectors
# --------------------
#
# One instruction can read 16 bytes, which are four neighbouring float32. For this, the elements
# that a thread needs must be neighbours in memory. So the kernel of this project,
# ``kernels/parts/tile_cuda.py``, gives each thread 8 x 4 *neighbouring* elements of C, and it
# stores the tile of A transposed: its columns become rows. The 12 reads for 32 products become 3
# instructions, an **expected gain of 4** in the number of instructions that read.

# sphinx_gallery_start_ignore


def draw_vectors():
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for axis, turned in zip(axes, (False, True), strict=True):
        reads = 0
        for row in range(8):
            for column in range(8):
                inside = (row if not turned else column) < 8 and (column if not turned else row) == 2
                colour = "C0" if inside else "#efefef"
                axis.add_patch(plt.Rectangle((column, row), 0.92, 0.92, color=colour))
        boxes = [(2, row, 1, 1) for row in range(8)] if not turned else [(0, 2, 4, 1), (4, 2, 4, 1)]
        for x, y, width, height in boxes:
            axis.add_patch(plt.Rectangle((x - 0.04, y - 0.04), width, height, fill=False, color="C1", lw=2.5))
            reads += 1
        axis.set(xlim=(-0.2, 8.1), ylim=(8.1, -0.2), aspect="equal", xticks=[], yticks=[])
        axis.set(xlabel="k" if not turned else "row of A", ylabel="row of A" if not turned else "k")
        axis.set_title(f"{'stored transposed' if turned else 'stored as in A'}: {reads} instructions")
        axis.spines[:].set_visible(False)
    figure.suptitle("a thread reads 8 elements of A for one k")


# sphinx_gallery_end_ignore
draw_vectors()
plt.show()

# %%
# This kernel also works for transposed matrices and for several products at once. So it takes flat
# arrays, with the steps from one row, column and matrix to the next.


def trace_product(A, B, C):
    """The report of C = A B by the kernel of this project."""
    M, K = A.shape
    N = B.shape[1]
    flat_A = A.ravel(), K, 1, 0
    flat_B = B.ravel(), N, 1, 0
    start = np.zeros(N, np.float32), 0, 0  # each row of C begins with these sums
    flat_C = C.ravel(), 0
    sizes = M, N, K, K  # the last one: all of k in one block
    arguments = *flat_A, *flat_B, *start, *flat_C, *sizes
    return trace(matmul.product_cuda, (tile_cuda.tiles(M, N), 1), 64, *arguments)


# %%
# The tracer counts elements, not instructions: the compiler joins the reads. So the counts show the
# effect of the larger tile, 64 x 32 elements of C, but not the effect of the vectors.

small_C[:] = np.nan
report = trace_product(small_A, small_B, small_C)
assert np.abs(small_C - small_A @ small_B).max() < 1e-5
count("matmul.product_cuda", report, M * N * K)
assert counted["matmul.product_cuda"][0] == 4 * (64 + 32) / (64 * 32)

# sphinx_gallery_start_ignore


def draw_counted():
    names = list(counted)
    _, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained", sharey=True)
    titles = "global memory, bytes per product", "shared memory, passes per product"
    for axis, title, values in zip(axes, titles, zip(*counted.values(), strict=True), strict=True):
        axis.barh(names, values, color=[f"C{i}" for i in range(len(names))])
        left = min(value for value in values if value > 0) / 2
        for row, value in enumerate(values):
            text = f"{value:.3g}" if value > 0 else "uses none"
            axis.text(1.1 * max(value, left), row, text, va="center")
        axis.set(title=title, xscale="log", xlim=(left, 6 * max(values)))
        axis.invert_yaxis()
    axes[0].invert_yaxis()


# sphinx_gallery_end_ignore
draw_counted()
plt.show()

# %%
# What do we expect on a GPU?
# ---------------------------
#
# *Arithmetic intensity* is the number of operations for each byte that is moved. A product and its
# addition are two operations. A GPU can do a certain number of operations in the time in which it
# moves one byte: about 20 for an H100, by ``docs/kernels.md``. Below this number memory is the
# limit, above it arithmetic. Which of our five kernels are limited by memory? In the figure, called
# a *roofline*, the black line is the highest speed that the GPU can reach.

intensity = {name: 2 / moved for name, (moved, _) in counted.items()}
for name, value in intensity.items():
    print(f"{name:20} {value:6.2f} operations for each byte")
assert list(intensity.values()) == sorted(intensity.values())
assert intensity["matmul.product_cuda"] < 20

# sphinx_gallery_start_ignore


def draw_roofline(balance=20):
    _, axis = plt.subplots(figsize=(8, 3.4), layout="constrained")
    x = np.geomspace(0.03, 100, 200)
    axis.loglog(x, 100 * np.minimum(1, x / balance), color="black", label="limit of the GPU")
    for i, (name, value) in enumerate(intensity.items()):
        axis.plot(value, 100 * min(1, value / balance), "o", ms=14 - 2 * i, color=f"C{i}", label=name)
    axis.axvline(balance, color="grey", ls=":")
    axis.set(xlabel="operations per byte", ylabel="% of the arithmetic rate")
    axis.legend(loc="lower right")


# sphinx_gallery_end_ignore
draw_roofline()
plt.show()

# %%
# All five, by this count. But the count is pessimistic: it treats every request as if it went to
# memory. Caches answer many of them.
#
# **The gains of the GPU steps were counted, not measured.** Steps 1 to 4 have not been run on a GPU,
# so we do not know whether the expected gains of 6.6, 20 and 3.7 are right. Of the last step we know
# the speed, but not the gain: in ``docs/gpu.md``, ``matmul.product_cuda`` does 1514 GFLOP/s in a
# training step of the paper's network on one NVIDIA H200, and ``conv2d.forward_cuda``, which uses
# the same tile, 2511 GFLOP/s (billions of operations in a second). From here on we count *and*
# measure on a CPU, where every reader can repeat it.
#
# How to count on a CPU
# ---------------------
#
# A CPU moves *cache lines* of 64 bytes, which are 16 float32. And it has vector instructions that
# compute with 8 or 16 neighbouring elements at once. So the rule is the same: neighbours are cheap.
#
# The tracer can run a CPU function as a kernel with one thread. For each access in the source code,
# we remember the cache line that it used last. If it now uses another one, we count one.


def lines(function, products, *arrays):
    """Cache lines for each product. A site is a line of code that accesses one array."""
    log = trace(function, 1, 1, *arrays).log
    accesses = log.accesses()
    sites = log.sites
    last = {}
    total = 0
    for address, site in zip(accesses.address, accesses.site, strict=True):
        line = (address - sites[site].memory.start) // 64
        if last.get(site) != line:
            total += 1
        last[site] = line
    return total / products


# %%
# Step 1, CPU: by element
# -----------------------
#
# The three loops, as the formula suggests them.


@njit
def by_element(A, B, C):
    for i in range(C.shape[0]):
        for j in range(C.shape[1]):
            total = np.float32(0)
            for k in range(A.shape[1]):
                total += A[i, k] * B[k, j]
            C[i, j] = total


# %%
# Step 2, CPU: by row
# -------------------
#
# Exchange two loops, as we exchanged two indices on the GPU. The inner loop now runs along a row of
# B and a row of C. How many cache lines does it need for 16 products?


@njit
def by_row(A, B, C):
    C[:] = 0
    for i in range(C.shape[0]):
        for k in range(A.shape[1]):
            a = A[i, k]
            for j in range(C.shape[1]):
                C[i, j] += a * B[k, j]


# sphinx_gallery_start_ignore


def draw_paths():
    _, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    for axis, name, down in zip(axes, ("by element: a column of B", "by row: a row of B"), (True, False), strict=True):
        for row in range(8):
            for line in range(2):
                axis.add_patch(plt.Rectangle((16 * line + 0.1, row + 0.08), 15.8, 0.84, fill=False, color="grey"))
        path = [(5.5, k + 0.5) for k in range(8)] if down else [(j + 0.5, 2.5) for j in range(32)]
        touched = {(int(x) // 16, int(y)) for x, y in path}
        for line, row in touched:
            axis.add_patch(plt.Rectangle((16 * line + 0.1, row + 0.08), 15.8, 0.84, color="C0", alpha=0.25))
        axis.plot(*zip(*path, strict=True), ".-", color="C3")
        axis.set(xlim=(0, 32), ylim=(8, 0), title=name, xlabel="column (boxes are cache lines)", ylabel="row")


# sphinx_gallery_end_ignore
draw_paths()
plt.show()

# %%
# Three: one line of B is read, and one line of C is read and written, which counts twice. In step
# 1, it was about one line for *each* product.
#
# There is a second reason for a gain. In ``by_element`` each addition waits for the addition before
# it, because they add to the same total. In ``by_row`` the 16 sums of a line are independent, so
# the compiler can use vector instructions.
#
# Step 3, CPU: a tile in the cache
# --------------------------------
#
# A CPU has no shared memory that we fill by hand. Its caches automatically keep what was used last.
# But we can choose an order in which a part of B, here 64 x 128 elements or 32 KB, is used for all
# rows of C before the next part is needed. Then it stays in the first cache, which is the smallest
# and fastest one. The drawing shows the eight parts of B in their order. While part 3 is used, the
# loop over i goes through all rows of A and C.
#
# The number of lines is the same, but they come from a faster cache. Do you expect a gain?


@njit
def cache_tile(A, B, C):
    C[:] = 0
    for k0 in range(0, A.shape[1], 64):
        for j0 in range(0, C.shape[1], 128):
            for i in range(C.shape[0]):
                c = C[i, j0 : j0 + 128]
                for k in range(k0, min(k0 + 64, A.shape[1])):
                    a = A[i, k]
                    b = B[k, j0 : j0 + 128]
                    for j in range(len(b)):
                        c[j] += a * b[j]


# sphinx_gallery_start_ignore


def draw_cache_tile(k0=64, j0=0):
    """One part of B, and what it is used for."""
    _, axes = plt.subplots(1, 3, figsize=(8, 3.1), layout="constrained")
    used = {"A": (k0, 0, 64, 256, "C2"), "B": (j0, k0, 128, 64, "C1"), "C": (j0, 0, 128, 256, "C0")}
    for axis, (name, (left, top, width, height, colour)) in zip(axes, used.items(), strict=True):
        axis.add_patch(plt.Rectangle((left, top), width, height, color=colour, alpha=0.6))
        axis.set(xlim=(0, 256), ylim=(256, 0), aspect="equal", yticks=range(0, 257, 64))
        axis.set_xticks(range(0, 257, 64 if name == "A" else 128))
        if name != "B":
            for row in (48, 112, 176):
                middle = left + width / 2
                axis.annotate("", (middle, row + 40), (middle, row), arrowprops={"arrowstyle": "-|>"})
            axis.text(left + width / 2, 24, "row i", ha="center", va="center")
    for part in range(8):
        axes[1].text(64 + 128 * (part % 2), 32 + 64 * (part // 2), f"{part + 1}", ha="center", va="center")
    axes[1].grid(color="black")
    axes[0].set(title="A: all rows", xlabel="k", ylabel="i")
    axes[1].set(title="B: part 3 of 8", xlabel="j", ylabel="k")
    axes[2].set(title="C: all rows", xlabel="j", ylabel="i")


# sphinx_gallery_end_ignore
draw_cache_tile()
plt.show()

# %%
# Step 4, CPU: a tile in registers
# --------------------------------
#
# Keep 4 x 4 elements of A in registers. Then one line from each of 4 rows of B and 4 rows of C is
# enough for 16 x 16 = 256 products: each of the 16 elements of A is multiplied by a line of 16
# elements of B.


@njit
def register_rows(A, B, C):
    C[:] = 0
    for i in range(0, C.shape[0], 4):
        a0, a1, a2, a3 = A[i], A[i + 1], A[i + 2], A[i + 3]
        c0, c1, c2, c3 = C[i], C[i + 1], C[i + 2], C[i + 3]
        for k in range(0, A.shape[1], 4):
            b0, b1, b2, b3 = B[k], B[k + 1], B[k + 2], B[k + 3]
            p0, p1, p2, p3 = a0[k], a0[k + 1], a0[k + 2], a0[k + 3]
            q0, q1, q2, q3 = a1[k], a1[k + 1], a1[k + 2], a1[k + 3]
            r0, r1, r2, r3 = a2[k], a2[k + 1], a2[k + 2], a2[k + 3]
            s0, s1, s2, s3 = a3[k], a3[k + 1], a3[k + 2], a3[k + 3]
            for j in range(C.shape[1]):
                x0, x1, x2, x3 = b0[j], b1[j], b2[j], b3[j]
                c0[j] += p0 * x0 + p1 * x1 + p2 * x2 + p3 * x3
                c1[j] += q0 * x0 + q1 * x1 + q2 * x2 + q3 * x3
                c2[j] += r0 * x0 + r1 * x1 + r2 * x2 + r3 * x3
                c3[j] += s0 * x0 + s1 * x1 + s2 * x2 + s3 * x3


# sphinx_gallery_start_ignore


def draw_register_rows():
    """4 x 4 elements of A, and the lines of B and C that they need. C stands right of A and below B."""
    _, axis = plt.subplots(figsize=(8, 3.4), layout="constrained")
    for row in range(4):
        for column in range(4):
            axis.add_patch(plt.Rectangle((column, 5 + row), 0.9, 0.9, color="C2", alpha=0.8))
        for lane in range(16):
            axis.add_patch(plt.Rectangle((5 + lane, row), 0.9, 0.9, color="C1", alpha=0.8))
            axis.add_patch(plt.Rectangle((5 + lane, 5 + row), 0.9, 0.9, color="C0", alpha=0.6))
        axis.text(4.7, row + 0.45, f"b{row}", ha="right", va="center")
        axis.text(-0.3, 5 + row + 0.45, f"a{row}", ha="right", va="center")
        axis.text(21.2, 5 + row + 0.45, f"c{row}", va="center")
    axis.text(22.3, 1.95, "a line of 4 rows of B:\neach is used for 4 rows of C", va="center")
    axis.text(22.3, 6.95, "a line of 4 rows of C:\nread and written once\nfor 4 values of k", va="center")
    axis.text(1.95, 9.4, "4 x 4 of A,\nin registers", ha="center", va="top")
    axis.set(xlim=(-1.2, 32), ylim=(11.4, -0.2))
    axis.axis("off")


# sphinx_gallery_end_ignore
draw_register_rows()
plt.show()

# %%
# Now we count, with A of 32 x 32 and B of 32 x 64.

part = A[:32, :32].copy(), B[:32, :64].copy(), C[:32, :64].copy()
functions = {
    "by element": by_element,
    "by row": by_row,
    "cache tile": cache_tile,
    "register tile": register_rows,
}
line_counts = {}
for name, function in functions.items():
    line_counts[name] = lines(function, 32 * 32 * 64, *part)
    print(f"{name:14} {line_counts[name]:.4f} lines for each product")
assert 1 < line_counts["by element"] < 1.2
assert 3 / 16 < line_counts["by row"] < 3.3 / 16
assert abs(line_counts["cache tile"] / line_counts["by row"] - 1) < 0.02
assert 3 < line_counts["by row"] / line_counts["register tile"] < 4.1

# %%
# Step 5, CPU: vectors by hand
# ----------------------------
#
# The last version keeps a tile of **C** in registers for the whole of k. It loads and stores C only
# once. Numba does not turn loops into such code, so ``kernels/parts/tile.py`` writes the vector
# instructions itself. For each k it loads one line of B, which has 16 elements. Then it takes R
# elements of A, one for each row of the tile. It copies each of them 16 times and multiplies these
# copies by the line. R is 6 or 12, depending on the processor. So 16 R products need one line of B
# and R elements, or R / 16 lines, of A.

# sphinx_gallery_start_ignore


def draw_register_tile(rows):
    _, axis = plt.subplots(figsize=(8, 3.6), layout="constrained")
    for lane in range(16):
        axis.add_patch(plt.Rectangle((3 + lane, 0), 0.9, 0.9, color="C1", alpha=0.8))
    axis.text(19.3, 0.45, "a line of B, loaded once", va="center")
    for row in range(rows):
        y = 1.6 + row
        axis.add_patch(plt.Rectangle((0.6, y), 0.9, 0.9, color="C2", alpha=0.8))
        axis.annotate("", (2.9, y + 0.45), (1.6, y + 0.45), arrowprops={"arrowstyle": "-|>"})
        for lane in range(16):
            axis.add_patch(plt.Rectangle((3 + lane, y), 0.9, 0.9, color="C0", alpha=0.6))
    axis.text(19.3, 1.6 + rows / 2, f"{rows} x 16 sums of C,\nin registers\nfor the whole of k", va="center")
    axis.text(0.4, 1.6 + rows / 2, f"{rows} elements of A", va="center", ha="right", rotation=90)
    axis.set(xlim=(-0.8, 27), ylim=(rows + 1.8, -0.2))
    axis.axis("off")


# sphinx_gallery_end_ignore
draw_register_tile(tile.ROWS)
plt.show()
line_counts["vectors"] = (1 + tile.ROWS / 16) / (tile.ROWS * 16)
print(f"vectors: {line_counts['vectors']:.4f} lines for each product, by this formula")

# %%
# How to measure
# --------------
#
# Four rules make a measurement more reliable:
#
# 1. **First check, then measure.** A wrong function is often fast.
# 2. **Compile first.** The first call of a Numba function compiles it. Do not measure this call.
# 3. **Run the versions in turn**, several times. If the machine is busy for a while, this affects
#    all of them equally.
# 4. **Take the median,** and on a shared machine the processor time instead of the time on the
#    clock.


def measure(functions, right, rounds=9):
    """Median processor time of functions that return their result, in milliseconds."""
    for name, function in functions.items():
        error = np.abs(function() - right).max()  # this call compiles, too
        assert error < 1e-5 * np.abs(right).max(), f"{name} is wrong by {error}"
    seconds = defaultdict(list)
    for _ in range(rounds):
        for name, function in functions.items():
            started = time.process_time()
            function()
            seconds[name].append(time.process_time() - started)
    return {name: 1000 * float(np.median(one)) for name, one in seconds.items()}


# %%
# The versions become functions without arguments that return the product. Step 5 is
# ``matmul.add_product``, which adds to C.


def result_of(function):
    function(A, B, C)
    return C


def ours(A, B, C):
    C[:] = 0
    a = Operand(A.ravel(), A.shape[1], 1)
    b = Operand(B.ravel(), B.shape[1], 1)
    matmul.add_product(a, b, C.reshape(-1), len(A), B.shape[1], len(B))
    return C


contestants = {name: partial(result_of, function) for name, function in functions.items()}
contestants["vectors"] = partial(ours, A, B, C)
contestants["NumPy's BLAS"] = partial(np.matmul, A, B)

# %%
# All of them get one core. Which will be fastest, and how much faster than the first?

threads = numba.get_num_threads()
numba.set_num_threads(1)
measured = measure(contestants, right)
for name, milliseconds in measured.items():
    speed = 2 * 256**3 / milliseconds / 1e6
    print(f"{name:14} {milliseconds:8.3f} ms, {speed:7.1f} GFLOP/s")

# %%
# NumPy calls a *BLAS* library, the work of many experts over many years. We take the best time of
# all as the limit that the arithmetic sets.
#
# Expected against measured
# -------------------------
#
# Our expectation is simple: time is proportional to the number of cache lines, but never less than
# the limit of the arithmetic. We need one measured time to know how long a line takes, and we use
# the one of "by row". For which step will this expectation be wrong?

limit = min(measured.values())
scale = measured["by row"] / line_counts["by row"]
expected = {name: max(scale * moved, limit) for name, moved in line_counts.items()}

# sphinx_gallery_start_ignore


def draw_comparison(expected, measured, title):
    names = list(expected)
    _, axis = plt.subplots(figsize=(8, 0.7 + 0.62 * len(names)), layout="constrained")
    rows = np.arange(len(names))
    for shift, numbers, label in ((-0.2, expected, "expected"), (0.2, measured, "measured")):
        values = [numbers[name] for name in names]
        bars = axis.barh(rows + shift, values, 0.38, label=label)
        axis.bar_label(bars, fmt="%.3g", padding=3)
    every = [*expected.values(), *(measured[name] for name in names)]
    axis.set(yticks=rows, xscale="log", xlim=(min(every) / 2, 3 * max(every)), xlabel="processor time, ms", title=title)
    axis.set_yticklabels(names)
    axis.tick_params(axis="x", which="minor", labelbottom=False)
    axis.invert_yaxis()
    axis.legend(loc="lower right")


# sphinx_gallery_end_ignore
draw_comparison(expected, measured, "matrix product, 256 x 256")
plt.show()
before = "by element"
for name in ("by row", "cache tile", "register tile", "vectors"):
    hoped = expected[before] / expected[name]
    found = measured[before] / measured[name]
    print(f"{before:13} to {name:13} expected gain {hoped:5.2f}, measured {found:5.2f}")
    before = name

# %%
# When this text was written, on a busy AMD EPYC with AVX-512, we saw this in three runs. Each step
# is compared with the step before it. Compare the gains with your own numbers above.
#
# - **By row** became 17 to 22 times as fast, instead of the expected 5.6 times. The count does not
#   know that in ``by_element`` each addition waits for the one before, and that it uses no vectors.
# - **The cache tile** took 1.7 to 2 times as long, instead of the same time. All of B, 256 KB, fits
#   into the second cache, so there was little to gain. A likely reason for the loss is the inner
#   loop: it is only half as long, so the work around it is done twice as often. On a GPU we expect a
#   factor of 20 from the same idea.
# - **The register tile** became 2.8 to 3.5 times as fast, about as expected (2.5 to 3.1). Without a
#   limit of the arithmetic, the expectation would be 3.6.
# - **Vectors by hand** became 1.5 to 1.7 times as fast, instead of 1.0. We expected that the register
#   tile reaches the limit of the arithmetic. It does not: it still loads and stores C again and
#   again.
#
# A wrong expectation is not a failure. It shows which effect we have forgotten.
#
# The convolution: windows
# ------------------------
#
# A convolution is a matrix product, too. Each output position has a *window* of the input. A window
# of I x J positions with C channels has I J C elements. Write each window as a row of a matrix.
# Then the product of this matrix and the weights is the result. (In tutorial 4 it was the other way
# round: there the matrix held the weights.) There are two ways to get the matrix of windows:
#
# - **im2col**: copy the windows. With stride 1 and a kernel of 5 x 5, each element of x is copied
#   25 times (at the edges less often).
# - **in place**: read the windows where they lie. If the channels are the last axis, the elements
#   of a window in one frame are neighbours in memory already. The next window begins C elements
#   later and overlaps.

# sphinx_gallery_start_ignore


def draw_windows(frames=3, bins=5, channels=2, taps=3):
    _, (left, right) = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained", width_ratios=[1, 1.6])
    number = np.arange(frames * bins * channels).reshape(frames, bins * channels)
    for t in range(frames):
        for e in range(bins * channels):
            left.add_patch(plt.Rectangle((e, t), 0.95, 0.95, color="#e4e4e4"))
            left.text(e + 0.47, t + 0.5, f"{number[t, e]}", ha="center", va="center", fontsize=8)
    for window in range(3):
        first = window * channels
        for t in range(frames):
            box = plt.Rectangle((first + 0.07 * window, t + 0.07 * window), taps * channels - 0.1, 0.8, fill=False)
            box.set(color=f"C{window}", lw=2)
            left.add_patch(box)
        row = number[:, first : first + taps * channels].ravel()
        for e, element in enumerate(row):
            right.add_patch(plt.Rectangle((e, window), 0.95, 0.9, color=f"C{window}", alpha=0.35))
            right.text(e + 0.47, window + 0.45, f"{element}", ha="center", va="center", fontsize=8)
    left.set(xlim=(-0.2, bins * channels + 0.2), ylim=(frames + 0.2, -0.2), title="in place: 30 elements")
    left.set(xlabel="bin and channel", ylabel="frame")
    right.set(xlim=(-0.2, len(row) + 0.2), ylim=(3.2, -0.2), title="im2col: 54 elements", ylabel="window")
    right.set(xlabel="element of the window")
    for axis in (left, right):
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)


# sphinx_gallery_end_ignore
draw_windows()
plt.show()

# %%
# The numbers are addresses in x: three frames of five bins and two channels, with a 3 x 3 kernel.
# On the left the three windows are the coloured outlines. On the right the same windows are copied.
#
# First the GPU, counted. A small convolution has 8 x 8 positions, 4 channels, a 3 x 3 kernel and 8
# output channels.

T, F, CHANNELS, TAPS, OUTPUTS = 8, 8, 4, 3, 8
x = rng.standard_normal((1, T, F, CHANNELS)).astype(np.float32)
W = rng.standard_normal((TAPS, TAPS, CHANNELS, OUTPUTS)).astype(np.float32)
bias = np.zeros(OUTPUTS, np.float32)
y = conv2d.forward(x, np.array([T]), W, bias, (1, 1), relu=False)

# %%
# **With a copy.** The kernel ``im2col`` makes the matrix, with a thread for each of its elements.
# Row t F + f is the window of position t, f. The product from above does the rest.


@cuda.jit
def im2col(x, rows):
    T, F, C = x.shape
    n, e = cuda.grid(2)
    t = n // F + e // (3 * C) - 1
    f = n % F + e // C % 3 - 1
    if 0 <= t < T and 0 <= f < F:
        rows[n, e] = x[t, f, e % C]
    else:
        rows[n, e] = 0


rows = np.zeros((T * F, TAPS * TAPS * CHANNELS), np.float32)
copying = trace(im2col, (T * F // 4, rows.shape[1] // 4), (4, 4), x[0], rows)
product = np.zeros((T * F, OUTPUTS), np.float32)
multiplying = trace_product(rows, W.reshape(-1, OUTPUTS), product)
assert np.abs(product - y.reshape(product.shape)).max() < 1e-4

# %%
# **In place.** ``conv2d.forward_cuda`` needs the list of the real frames, because utterances can
# have unequal lengths.

in_place = np.zeros(y.size, np.float32)
frames = windows_cuda.frames_of(np.array([T]), 1)
sizes = T, F, CHANNELS, TAPS, TAPS, OUTPUTS, 1, 1
lowest = np.float32(-np.inf)  # no ReLU
arrays = x.ravel(), frames, W.ravel(), bias, lowest, in_place
reading = trace(conv2d.forward_cuda, 1, 64, *arrays, *sizes)
assert np.abs(in_place - y.ravel()).max() < 1e-4

# %%
# By which factor does the number of accesses to global memory fall?


def accesses(report):
    report.require_clean()
    return report.counts.global_reads.total + report.counts.global_writes.total


with_copy = accesses(copying) + accesses(multiplying)
without = accesses(reading)
print(f"im2col {with_copy} accesses, in place {without}, gain {with_copy / without:.2f}")
assert with_copy > 2 * without

# %%
# In place needs less than half of the accesses, and no memory for the matrix.
#
# Now the CPU, measured. The convolution has 32 x 32 positions, 16 channels, a 5 x 5 kernel and 32
# output channels. The first version has the loops of the formula of tutorial 4.


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
                            value = x[t + i - I // 2, f + j - J // 2, c]
                            y[t, f, d] += value * W[i, j, c, d]
    return y


# %%
# The second version copies the windows, here in NumPy, and the third one reads in place.

x = rng.standard_normal((32, 32, 16)).astype(np.float32)
W = rng.standard_normal((5, 5, 16, 32)).astype(np.float32)
y = np.zeros((32, 32, 32), np.float32)


def copied():
    windows = sliding_window_view(np.pad(x, ((2, 2), (2, 2), (0, 0))), (5, 5), (0, 1))
    rows = windows.transpose(0, 1, 3, 4, 2).reshape(1024, 400)  # this copies
    return ours(rows, W.reshape(400, 32), y.reshape(1024, 32)).reshape(y.shape)


def read_in_place():
    bias = np.zeros(32, np.float32)
    return conv2d.forward(x[None], np.array([32]), W, bias, (1, 1), relu=False)[0]


convolutions = {
    "as written": partial(as_written, x, W, y),
    "im2col": copied,
    "in place": read_in_place,
}
exact = as_written(x.astype(np.float64), W.astype(np.float64), np.zeros(y.shape))
convolution_times = measure(convolutions, exact)
numba.set_num_threads(threads)  # as before

# %%
# The expectation uses the same scale as above. "As written" needs about as many lines for each
# product as "by row". We expect that both others are limited by arithmetic. In addition, im2col
# writes and reads the matrix once, 2 · 1024 · 400 elements.

# a small one, to count: along each axis, 10 of 12 pairs of position and tap lie inside
few = x[:4, :4].copy(), W[:3, :3].copy(), np.zeros((4, 4, 32), np.float32)
line_count = lines(as_written, 10 * 10 * 16 * 32, *few)

products = 1024 * 400 * 32
arithmetic = limit * products / 256**3
per_line = scale / 256**3
convolution_expected = {
    "as written": max(per_line * line_count * products, arithmetic),
    "im2col": arithmetic + per_line * 2 * 1024 * 400 / 16,
    "in place": arithmetic,
}
for name, milliseconds in convolution_times.items():
    hoped = convolution_expected[name]
    print(f"{name:12} expected {hoped:7.3f} ms, measured {milliseconds:7.3f} ms")
draw_comparison(convolution_expected, convolution_times, "convolution, 5 x 5 x 16 to 32")
plt.show()

# %%
# When this text was written, on the machine described above, we saw this in two runs. Compare it
# with your own numbers.
#
# - **As written** took 1.1 to 1.2 ms instead of the expected 0.5 to 0.7 ms. Its inner loop runs over
#   32 elements only, and the count does not see the work around this loop.
# - **im2col** took 0.56 to 0.64 ms instead of the expected 0.22 to 0.23 ms. The copy consists of
#   many short ranges, and NumPy needs extra time for each of them.
# - **In place** took 0.20 to 0.22 ms, as expected.
#
# Reading in place needs no copy at all. That is why ``kernels/conv2d.py`` reads in place.
#
# What to try
# -----------
#
# 1. Suppose each thread of ``coalesced`` computes four neighbouring elements of a row of C. How
#    many elements does it read for each product?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       1.25: it reads one element of A and four of B, and computes 4 products. Before, it was 2.
#
# 2. Change the ``T + 1`` of ``register_tile`` to ``T``. What happens to the passes?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       The four rows of ``a`` that a warp reads at a time begin in the same bank. Each read of
#       ``a`` takes 4 passes instead of 1, and the gain of step 4 falls from 3.7 to 1.6.
#
# 3. Why not make the register tile 16 x 16? It would need only 32 reads for 256 products.
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       A thread has at most 255 registers, and the sums alone would need 256. The compiler would
#       move some of them to memory. Long before that, fewer blocks fit on a multiprocessor
#       (occupancy, tutorial 1).
#
# 4. Time the CPU versions with 512 x 512 matrices. Does the cache tile gain now?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       On the machine described above it did not: it still took about twice as long as "by row".
#       B has 1 MB then, as much as the second cache, but "by row" did as many products in a second
#       as before. Try it on yours.
#
# **Your turn.** Write step 3 yourself, for matrices of any size, in
# ``tutorials/exercises/cuda_matmul_tiled.py``. This command judges it without a GPU::
#
#     python -m scratchser.check tutorials/exercises/cuda_matmul_tiled.py
