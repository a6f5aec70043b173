"""
1. Threads and blocks
=====================

You will see what a CUDA kernel is, how a thread finds its element, and what the threads of a block
share. You will also see how to find a race, an index out of range and the cost of a kernel
**without a GPU**.

This is the first tutorial. You need Python and NumPy, and no GPU.
"""

# %%

import os
import subprocess
import sys
from collections import Counter
from math import ceil
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from numba import cuda, float32

from scratchser.kernels import norms
from scratchser.tracer import trace
from scratchser.tracer.drawing import draw

# %%
# From a loop to threads
# ----------------------
#
# A CPU squares ten numbers in a loop. The loop takes one element after the other.

x = np.arange(10, dtype=np.float32)
y = np.zeros(10, np.float32)
for i in range(10):
    y[i] = x[i] * x[i]
print(y)

# %%
# A GPU has thousands of arithmetic units, and this loop would use only one of them. So the loop
# disappears. Its body becomes a *kernel*: a function that many *threads* run, one thread for each
# element. The index of the loop becomes the index of the thread.
#
# Threads are grouped in *blocks* of equal size. So the index of a thread has two parts, the number
# of its block and its number within the block:
#
# .. math:: i = \mathtt{blockIdx} \cdot \mathtt{blockDim} + \mathtt{threadIdx}
#
# Starting a kernel is called *launching* it. The expression ``square[3, 4]`` launches 3 blocks of 4
# threads. How many threads is that, and what should the last ones do?
#
# ``@cuda.jit`` marks a function as a kernel. A kernel returns nothing: it writes its result into an
# array.


@cuda.jit
def square(x, y):
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x  # in short: cuda.grid(1)
    if i < x.size:
        y[i] = x[i] * x[i]


# sphinx_gallery_start_ignore
def draw_launch(blocks, threads, elements):
    _, axis = plt.subplots(figsize=(8, 1.8), layout="constrained")
    for block in range(blocks):
        for thread in range(threads):
            i = block * threads + thread
            used = i < elements
            axis.add_patch(plt.Rectangle((i - 0.46, 0), 0.92, 1, color=f"C{block}", alpha=0.8 if used else 0.2))
            axis.text(i, 0.5, f"thread\n{thread}", ha="center", va="center", color="white" if used else "black")
        axis.text((block + 0.5) * threads - 0.5, 1.25, f"block {block}", ha="center", va="center")
    axis.set(xlim=(-0.6, blocks * threads - 0.4), ylim=(-0.1, 1.5), yticks=[], xlabel="i")
    axis.set_xticks(range(blocks * threads))
    axis.spines[["left", "right", "top"]].set_visible(False)


# sphinx_gallery_end_ignore
draw_launch(blocks=3, threads=4, elements=10)
plt.show()

# %%
# There are 12 threads for 10 elements, because all blocks have the same size. The last two threads
# have no element, so they must do nothing. That is why the kernel has an ``if``.
#
# Two ways to run a kernel without a GPU
# --------------------------------------
#
# **Numba's simulator** runs a kernel as a Python function, with one Python thread for each thread
# of the block. The launch is written exactly as for a GPU. The simulator replaces Numba's compiler,
# so a program can use either the simulator or the compiler. An environment variable decides which
# one, and it must be set before Numba is imported. We have already imported Numba. So we start a
# second Python process for this example.

program = """
import numpy as np
from numba import cuda

@cuda.jit
def square(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = x[i] * x[i]

x = np.arange(10, dtype=np.float32)
y = np.zeros(10, np.float32)
square[3, 4](x, y)
print(y)
"""
environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
command = [sys.executable, "-c", program]
printed = subprocess.check_output(command, env=environment, text=True)
print("in the simulator:", printed)
assert printed == f"{y}\n"

# %%
# **The tracer** of this project runs the same Python code, but it runs the threads one after the
# other and writes down every access to memory: which thread reads or writes which element, and at
# which line. It checks each access while the kernel runs. It needs no second process.
# ``trace(kernel, blocks, threads, ...)`` replaces the launch.

y = np.zeros(10, np.float32)
report = trace(square, 3, 4, x, y)  # instead of square[3, 4](x, y)
report.require_clean()  # raises an error if the tracer found a fault
print(y)
print(report.counts)
assert np.array_equal(y, x**2)
assert report.counts.global_reads.total == 20  # x[i] appears twice in x[i] * x[i]

# %%
# The tracer counts 20 reads, because the line reads ``x[i]`` twice. A compiler would keep the value
# and read it once. This is a limit of the tracer: it runs the source code and does not see what a
# compiler makes of it.
#
# A drawing shows one block. Each thread has a number and a colour. An outline is a read, a filled
# cell is a write.

draw(report, "square")
plt.show()

# %%
# Why the ``if`` is there
# -----------------------
#
# Here is the kernel without the ``if``. Which elements will the threads 2 and 3 of block 2 access?
# Write down your guess, then look at the drawing.


@cuda.jit
def unguarded(x, y):
    i = cuda.grid(1)
    y[i] = x[i] * x[i]


report = trace(unguarded, 3, 4, x, y)
draw(report, "unguarded")
plt.show()
assert {fault.array for fault in report.out_of_range} == {"x", "y"}

# %%
# They access ``x[10]``, ``x[11]``, ``y[10]`` and ``y[11]``, which do not exist. A GPU usually gives
# no error here. It reads and writes past the end, in the memory of some other array. You would
# notice this much later, through a wrong result somewhere else.
#
# Threads run in no fixed order
# -----------------------------
#
# Now let all threads add their element to one total.


@cuda.jit
def racing_sum(x, total):
    i = cuda.grid(1)
    if i < x.size:
        total[0] += x[i]


# %%
# ``total[0] += x[i]`` looks like one step, but it is three: read the total, add, write it back. On
# a GPU the three steps of two threads can overlap:

# sphinx_gallery_start_ignore


def draw_lost_addition():
    _, axis = plt.subplots(figsize=(8, 2.2), layout="constrained")
    steps = [(0, 1, "reads 5"), (1, 0, "reads 5"), (2, 1, "5 + 3"), (2, 0, "5 + 4"), (3, 1, "writes 8")]
    steps += [(4, 0, "writes 9")]
    for time, row, text in steps:
        axis.add_patch(plt.Rectangle((time + 0.05, row + 0.1), 0.9, 0.8, color=f"C{1 - row}", alpha=0.8))
        axis.text(time + 0.5, row + 0.5, text, ha="center", va="center", color="white")
    for time, total in enumerate((5, 5, 5, 8, 9)):
        axis.text(time + 0.5, -0.45, f"{total}", ha="center", va="center")
    axis.set(xlim=(0, 5), ylim=(-0.8, 2), xticks=[], xlabel="time →")
    axis.set_yticks([1.5, 0.5, -0.45], ["thread 0 adds 3", "thread 1 adds 4", "total[0] after the step"])
    axis.tick_params(left=False)
    axis.spines[:].set_visible(False)


# sphinx_gallery_end_ignore
draw_lost_addition()
plt.show()

# %%
# Both threads read 5, and the second write replaces the first. The total is 9, although it should
# be 12. One addition is lost. This is a *race*.
#
# A race often has no effect, so a right result does not prove that a kernel is right. Predict: will
# our sum over the numbers 0 to 7 be right in the tracer, and will the tracer find the race?

total = np.zeros(1, np.float32)
report = trace(racing_sum, 1, 8, x[:8], total)
print("the sum is", total[0])
assert total[0] == x[:8].sum()
assert report.races
draw(report, "racing_sum")
plt.show()

# %%
# The sum is right, because the tracer runs one thread after the other. But the tracer does not look
# at the result. It looks at the accesses: two threads access one address, at least one of them
# writes, and nothing fixes their order. This is a race, whatever the result is. So the tracer finds
# it in every run.
#
# What the threads of a block share
# ---------------------------------
#
# The threads of one block have two things in common:
#
# - a small, fast *shared memory*;
# - a *barrier*, ``cuda.syncthreads()``. Every thread waits there until all threads of its block
#   have arrived. What a thread writes before the barrier, every other thread of the block can read
#   after it.
#
# The next kernel reverses the elements of each block. Every thread loads one element and then
# needs the element of another thread. The drawing has one part for the time before the barrier and
# one for the time after it.


@cuda.jit
def reversed_blocks(x, y):
    part = cuda.shared.array(4, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    part[t] = x[i]
    cuda.syncthreads()  # now all four elements are loaded
    y[i] = part[3 - t]


y = np.zeros(8, np.float32)
report = trace(reversed_blocks, 2, 4, x[:8], y)
report.require_clean()
print(y)
assert np.array_equal(y, [3, 2, 1, 0, 7, 6, 5, 4])
draw(report, "reversed_blocks")
plt.show()

# %%
# The missing barrier
# -------------------
#
# We delete the barrier. Thread 0 reads ``part[3]``. Which thread writes this element, and has it
# been written by then?


@cuda.jit
def without_barrier(x, y):
    part = cuda.shared.array(4, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    part[t] = x[i]
    y[i] = part[3 - t]


report = trace(without_barrier, 2, 4, x[:8], y)
for fault in report.faults():
    print(fault)
assert report.uninitialised
assert report.races
draw(report, "without_barrier")
plt.show()

# %%
# Thread 3 writes it, before or after the read. On a GPU the result depends on chance, and shared
# memory contains arbitrary values when a block begins. The tracer reports two things: an element is
# read before it is written, and the write and the read are a race.
#
# A sum without a race
# --------------------
#
# With shared memory and barriers, the threads of a block can add their elements without a race.
# They add the second half of the elements to the first half, and repeat this with the first half,
# until one element is left. There is a barrier before each step.
#
# How many steps do 8 elements need? How many threads work in the last step?


@cuda.jit
def block_sum(x, total):
    part = cuda.shared.array(8, float32)
    t = cuda.threadIdx.x
    part[t] = x[t]
    half = 4
    while half > 0:
        cuda.syncthreads()  # both halves are complete
        if t < half:
            part[t] += part[t + half]
        half //= 2
    if t == 0:
        total[0] = part[0]


total = np.zeros(1, np.float32)
report = trace(block_sum, 1, 8, x[:8], total)
report.require_clean()
print("the sum is", total[0])
assert total[0] == x[:8].sum()
draw(report, "block_sum")
plt.show()

# %%
# There are three steps, because 8 is 2 · 2 · 2, and only thread 0 works in the last one. The ``if``
# stands *after* the barrier: all threads must reach a barrier, also those that have nothing to do.
#
# The project uses this sum in ``kernels/machine/block_sum.py``. For example, ``kernels/norms.py``
# computes the squared norm of a gradient with it, for figure 4 of the paper. Let us run this kernel
# on 1000 elements with 256 threads.

dW = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
sums = np.zeros(1, np.float32)
ranges = np.array([[0, 1000]], np.int32)  # a single one, from element 0 to 999
report = trace(norms.chunks_cuda, 1, norms.THREADS, dW, ranges, sums)
report.require_clean()
right = np.sum(dW.astype(np.float64) ** 2)
print(f"sum of 1000 squares: {sums[0]:.4f}, by NumPy in float64 {right:.4f}")
print(report.counts)
assert abs(sums[0] - right) < 1e-6 * right
# the elements, and for each thread the ends of the range
assert report.counts.global_reads.total == 1000 + 2 * 256
# two for each of 255 additions, and the result
assert report.counts.shared_reads.total == 2 * 255 + 1

# %%
# Warps: 32 threads together
# --------------------------
#
# Now we know what a kernel does. The rest of this tutorial is about what it costs.
#
# A GPU does not run each thread separately. It takes 32 threads of a block with consecutive
# numbers, a *warp*, and runs one instruction for all of them at the same time. This has two
# consequences.
#
# **First consequence: a branch.** If some threads of a warp take the ``if`` and others the
# ``else``, the warp runs both, one after the other. Meanwhile the other threads wait. They are grey
# in the drawing, in which each row is one instruction of a warp.

# sphinx_gallery_start_ignore


def draw_branches():
    _, axes = plt.subplots(1, 2, figsize=(8, 2.4), layout="constrained", sharey=True)
    titles = "even threads / odd threads", "first warp / second warp"
    for axis, title, mixed in zip(axes, titles, (True, False), strict=True):
        for warp in range(2):
            for step in range(2 if mixed else 1):
                side = step if mixed else warp
                for thread in range(32):
                    active = thread % 2 == step if mixed else True
                    colour = f"C{side}" if active else "#e4e4e4"
                    axis.add_patch(plt.Rectangle((thread, 3 - 2.2 * warp - step), 0.9, 0.85, color=colour))
                axis.text(33, 3.4 - 2.2 * warp - step, ("if", "else")[side], va="center")
        axis.set(xlim=(0, 38), ylim=(-0.4, 4), title=title, xlabel="thread of the warp", xticks=[0, 8, 16, 24, 31])
        axis.set_yticks([3.0, 0.8], ["warp 0", "warp 1"])
        axis.spines[:].set_visible(False)
        axis.tick_params(left=False)


# sphinx_gallery_end_ignore
draw_branches()
plt.show()

# %%
# The tracer runs threads, not warps. But its log is enough to find out what a warp would do. When
# the threads of a warp execute a line for the first time, their accesses are one *request* of the
# warp. When they execute it again, their accesses are the next request. ``report.requests()``
# returns them: for each request, the offsets of the elements in bytes. An offset counts from the
# beginning of its array. This is enough for all that follows, because a GPU places arrays at
# multiples of 256 bytes.
#
# Two kernels with the same ``if`` and ``else``. In the first one, even and odd threads differ. In
# the second one, whole warps differ. Each side of the ``if`` has one read and one write. How many
# requests do the two warps of a block of 64 threads make in each kernel?


@cuda.jit
def even_and_odd(x, y):
    i = cuda.grid(1)
    if i % 2 == 0:
        y[i] = 2 * x[i]
    else:
        y[i] = 3 * x[i]


@cuda.jit
def warp_by_warp(x, y):
    i = cuda.grid(1)
    if i // 32 % 2 == 0:
        y[i] = 2 * x[i]
    else:
        y[i] = 3 * x[i]


# %%
# We trace both kernels with one block and count the requests.

x = np.arange(64, dtype=np.float32)
y = np.zeros(64, np.float32)
mixed = len(trace(even_and_odd, 1, 64, x, y).requests())
uniform = len(trace(warp_by_warp, 1, 64, x, y).requests())
print(f"even and odd threads: {mixed} requests, whole warps: {uniform} requests")
assert (mixed, uniform) == (8, 4)

# %%
# In the first kernel, each of the two warps runs both sides: 2 · 2 · 2 = 8 requests. In the second
# kernel, each warp runs one side: 4 requests. So a branch is cheap if whole warps take the same
# side.
#
# Coalescing: 32 bytes at a time
# ------------------------------
#
# **Second consequence: memory.** When the 32 threads of a warp read, the GPU collects their
# addresses and fetches whole *sectors* of 32 bytes, which are 8 float32. Four neighbouring sectors
# are a *line* of 128 bytes. If the 32 threads read 32 neighbouring elements, 4 sectors are enough.
# The access is then *coalesced*. If their addresses are far apart, each thread needs its own
# sector, and most of its 32 bytes are fetched but not used.
#
# The kernel below copies every ``step``-th element, beginning with element ``shift``. How many
# sectors does a warp read for step 1 and shift 0? For shift 1? For step 2, and for step 8? Write
# down four numbers.


@cuda.jit
def copy(x, y, step, shift):
    i = cuda.grid(1)
    y[i] = x[i * step + shift]


# %%
# A set holds each sector once, so its size is the number of sectors.

SECTOR = 32  # bytes


def sectors(offsets):
    return {int(offset) // SECTOR for offset in offsets}


x = np.zeros(32 * 32 + 1, np.float32)
y = np.zeros(32, np.float32)
cases = {
    "coalesced: step 1": (1, 0),
    "misaligned: shift 1": (1, 1),
    "step 2": (2, 0),
    "step 8": (8, 0),
}
reads = {}
for name, (step, shift) in cases.items():
    report = trace(copy, 1, 32, x, y, step, shift)
    (read,) = report.requests("x").values()
    reads[name] = read
    lines = {sector // 4 for sector in sectors(read)}
    print(f"{name:20} sectors: {len(sectors(read)):2}, lines: {len(lines)}")
assert [len(sectors(read)) for read in reads.values()] == [4, 5, 8, 32]

# sphinx_gallery_start_ignore


def draw_sectors(reads, shown=72):
    """Each cell is an element; fetched sectors are pale, elements that a thread wants are dark."""
    _, axes = plt.subplots(len(reads), 1, figsize=(8, 3.6), layout="constrained", sharex=True)
    for axis, (name, read) in zip(axes, reads.items(), strict=True):
        wanted = {offset // 4 for offset in read}
        for element in range(shown):
            fetched = element // 8 in sectors(read)
            colour = "C0" if element in wanted else "#a9cbe6" if fetched else "#efefef"
            axis.add_patch(plt.Rectangle((element, 0), 0.92, 1, color=colour))
        for edge in range(0, shown + 1, 8):
            axis.axvline(edge - 0.04, color="black", lw=1.4 if edge % 32 == 0 else 0.5)
        axis.set(xlim=(-0.3, shown), ylim=(0, 1), yticks=[])
        axis.set_title(f"{name}: {len(sectors(read))} sectors for 32 elements", loc="left", fontsize=10)
        axis.spines[:].set_visible(False)
    axes[-1].set(xlabel=f"element of x (the first {shown})", xticks=range(0, shown + 1, 8))


# sphinx_gallery_end_ignore
draw_sectors(reads)
plt.show()

# %%
# Dark cells are elements that a thread reads, pale cells are fetched and not used. Thin lines
# separate sectors, thick lines separate lines of 128 bytes. With step 8, every sector contains one
# useful element and seven others: 32 elements cost eight times as much traffic as with step 1.
#
# What happens for larger steps?

steps = np.arange(1, 33)
count = []
for step in steps:
    (read,) = trace(copy, 1, 32, x, y, int(step), 0).requests("x").values()
    count.append(len(sectors(read)))
assert count[0] == 4
assert count[7:] == [32] * 25

# sphinx_gallery_start_ignore


def draw_steps(steps, count):
    _, axis = plt.subplots(figsize=(8, 3.2), layout="constrained")
    axis.bar(steps, count, color="C0")
    axis.axhline(4, color="C1", ls="--", label="32 elements fill 4 sectors")
    axis.set(xlabel="step, elements", ylabel="sectors read by a warp", xticks=[1, 2, 4, 8, 16, 24, 32])
    axis.set(xlim=(0.2, 32.8), ylim=(0, 38))
    axis.legend(loc="upper left")


# sphinx_gallery_end_ignore
draw_steps(steps, count)
plt.show()

# %%
# From step 8 on it cannot get worse: each thread already needs a sector of its own. With a matrix
# such a step happens easily. If neighbouring threads read one *row*, the step is 1. If they read
# one *column*, the step is the length of a row. So here is the most important rule of this
# tutorial: **neighbouring threads should access neighbouring elements.** Tutorial 5 begins with it.
#
# Shared memory has banks
# -----------------------
#
# Shared memory is fast, but it has a rule of its own. It consists of 32 *banks*. Element number n
# (of 4 bytes each) lies in bank n mod 32. In one *pass*, each bank can deliver one element. If the
# threads of a warp need different elements of the same bank, the request needs several passes: a
# *bank conflict*. If they need the same element, one pass is enough.
#
# The number of passes is the number of different elements that the busiest bank must deliver:


def passes(offsets):
    elements = {int(offset) // 4 for offset in offsets}
    return max(Counter(element % 32 for element in elements).values())


# %%
# Where does it matter? Take a tile of 32 x 32 elements. It is written by rows and read by columns,
# as in a transpose. The loop writes one row at a time. Then the 32 threads read column 5, one
# element each.


def read_a_column(width):
    @cuda.jit
    def kernel(x, y):
        tile = cuda.shared.array((32, width), float32)
        t = cuda.threadIdx.x
        for row in range(32):
            tile[row, t] = x[row, t]
        cuda.syncthreads()
        y[t] = tile[t, 5]

    return kernel


# %%
# How many passes does the read of one column take? And what changes if each row has one more
# element, which stays unused?

x = np.arange(1024, dtype=np.float32).reshape(32, 32)
y = np.zeros(32, np.float32)
found = {}
for width in (32, 33):
    report = trace(read_a_column(width), 1, 32, x, y)
    report.require_clean()
    assert np.array_equal(y, x[:, 5])
    *writes, column = report.requests("tile").values()
    found[width] = passes(column)
    print(f"{width} elements in a row: passes for a column {passes(column)}, ", end="")
    print(f"for a row {passes(writes[0])}")
assert found == {32: 32, 33: 1}

# sphinx_gallery_start_ignore


def draw_banks(widths, column):
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
    for axis, width in zip(axes, widths, strict=True):
        banks = np.arange(32 * width).reshape(32, width) % 32
        image = axis.imshow(banks, cmap="viridis", aspect="auto")
        axis.add_patch(plt.Rectangle((column - 0.5, -0.5), 1, 32, fill=False, color="red", lw=2))
        axis.set(xlabel="column", ylabel="row (thread)", title=f"rows of {width} elements")
    figure.colorbar(image, ax=axes, label="bank")


# sphinx_gallery_end_ignore
draw_banks((32, 33), column=5)
plt.show()

# %%
# The colour is the bank. On the left the whole column has one colour: all 32 threads need the same
# bank, which takes 32 passes. On the right the same column has 32 colours, and one pass is enough.
# One unused element in each row removes the conflict. ``kernels/parts/stream.py`` does this in its
# transpose, and ``kernels/parts/tile_cuda.py`` in its matrix product.
#
# Occupancy: enough warps to hide the waiting
# -------------------------------------------
#
# A GPU consists of many *multiprocessors*, and each block runs on one of them. A *register* holds
# one number of one thread; it is faster than any memory.
#
# A read of global memory takes several hundred clock cycles. The GPU uses this time: while one warp
# waits, another one computes. For this, many warps must be *resident* on the same multiprocessor,
# which means that their blocks have begun and not yet ended. How many fit depends on what a block
# needs:
#
# - **threads**: a multiprocessor can hold a fixed number of warps;
# - **registers**: it has 65,536 of them, in four parts of equal size, and each thread needs its
#   own;
# - **shared memory**: its size is fixed too, and each block needs its own.
#
# The *occupancy* is the number of resident warps divided by this largest number. It can be computed
# with simple arithmetic. The limits are in NVIDIA's tables for each *compute capability*,
# which is the version of a GPU: 7.5 is a T4, 9.0 an H100 or H200.


class Multiprocessor(NamedTuple):
    warps: int  # the largest number that it can hold
    blocks: int
    shared: int  # bytes
    reserved: int  # bytes of shared memory that the system needs for each block


T4 = Multiprocessor(warps=32, blocks=16, shared=64 * 1024, reserved=0)
H200 = Multiprocessor(warps=64, blocks=32, shared=228 * 1024, reserved=1024)


def resident_warps(gpu, threads, registers, shared):
    """Registers are those of a thread, bytes of shared memory those of a block."""
    warps = ceil(threads / 32)
    each = ceil(32 * registers / 256) * 256  # a warp's registers, given out 256 at a time
    by_registers = 4 * (16384 // each)
    blocks = min(gpu.blocks, gpu.warps // warps, by_registers // warps)
    if shared + gpu.reserved > 0:
        blocks = min(blocks, gpu.shared // (shared + gpu.reserved))
    return blocks * warps


# %%
# Try it with four kernels of this project. Their registers come from the compiler, which needs no
# GPU. ``docs/kernels.md`` lists them. Which kernel do you expect to have the lowest occupancy?

kernels = {  # threads, registers for compute capability 9.0, bytes of shared memory
    "vtlp.batch_cuda": (128, 32, 0),
    "stft.forward_cuda": (128, 40, 8192),
    "lstm.forward_cuda": (512, 80, 34816),
    "matmul.product_cuda": (64, 124, 6656),
}
occupancy = {}
for name, (threads, registers, shared) in kernels.items():
    warps = resident_warps(H200, threads, registers, shared)
    occupancy[name] = warps / H200.warps
    print(f"{name:20} {warps:3} of {H200.warps} warps, occupancy {occupancy[name]:4.0%}")
assert list(occupancy.values()) == [1, 0.75, 0.25, 0.25]

# sphinx_gallery_start_ignore


def draw_occupancy():
    _, axis = plt.subplots(figsize=(8, 3.4), layout="constrained")
    registers = np.arange(16, 256)
    for name, threads, style in (("64 threads", 64, "-"), ("512 threads", 512, "--")):
        share = [resident_warps(H200, threads, int(r), 0) / H200.warps for r in registers]
        axis.plot(registers, 100 * np.array(share), style, drawstyle="steps-post", label=f"blocks of {name}")
    for i, (name, (_, used, _)) in enumerate(kernels.items()):
        axis.plot(used, 100 * occupancy[name], "o", ms=8, color=f"C{i + 2}", label=name)
    axis.set(xlabel="registers of a thread", ylabel="occupancy, %", ylim=(0, 108))
    axis.legend(loc="upper right")


# sphinx_gallery_end_ignore
draw_occupancy()
plt.show()

# %%
# The curves fall in steps: after each step, fewer blocks fit. The LSTM and the matrix product have
# the lowest occupancy. A block of the LSTM has 16 warps, and with 80 registers a second block does
# not fit. The matrix product needs many registers because each of its threads keeps 32 sums in
# them.
#
# Is a kernel with a low occupancy slow? Not necessarily. The 32 sums do not depend on each other,
# so a warp can compute one sum while another sum waits. Occupancy says how many warps *could* run
# while one of them waits. It does not say how fast a kernel is.
#
# What only a GPU shows
# ---------------------
#
# Everything above was counted, not measured. Counts have limits:
#
# - A sector that was just read may still be in a cache, and then it costs little. We count what the
#   warps request, not what arrives from memory.
# - The compiler may keep a value instead of reading it twice, or join four reads into one of 16
#   bytes. The tracer sees the source.
# - How many cycles an access waits, and how many warps wait at the same time, depends on the GPU.
# - Our function assumes that all threads of a warp go through the lines together. After a branch
#   inside a loop a GPU may group the threads differently.
#
# So counts say which of two kernels moves less, and time says which is faster. ``docs/gpu.md`` has
# times of this project's kernels on an H200.
#
# What to try
# -----------
#
# 1. Launch ``square`` with 2 blocks of 4 threads and a ``y`` of zeros. Which elements stay 0? Does
#    the tracer report it?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       The last two, ``y[8]`` and ``y[9]``. The tracer does not report it, because it checks
#       accesses, and here accesses are missing. Only a comparison with the right result finds this.
#
# 2. Change ``reversed_blocks`` so that only threads with ``t < 3`` reach the barrier. What does the
#    tracer report?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       A divergent barrier: three threads wait at it and thread 3 has ended. A GPU may wait
#       forever.
#
# 3. How many steps does the sum of 256 elements take with 256 threads? How many additions would one
#    thread do alone?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       8 steps, because 256 is 2 to the power of 8. One thread would do 255 additions.
#
# 4. How many sectors does a warp read if all its threads read the same element?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       One. The function ``sectors`` collects a set, which holds each sector once. A GPU, too,
#       fetches the sector once for all threads of the warp.
#
# 5. A block of 128 threads uses 49 registers a thread and 8192 bytes of shared memory, as the
#    spectrogram does. What limits its occupancy on a T4?
#
#    .. admonition:: Answer
#       :class: dropdown
#
#       The number of warps: 8 blocks of 4 warps are all 32, so the occupancy is 100 %. Shared
#       memory is full at the same point, since 8 times 8192 bytes are 64 KB. Registers would be
#       enough for 9 blocks.
#
# **Your turn.** Write your first kernels in ``tutorials/exercises/cuda_saxpy.py`` and
# ``tutorials/exercises/cuda_block_sum.py``. This command judges them without a GPU::
#
#     python -m scratchser.check tutorials/exercises/cuda_saxpy.py
