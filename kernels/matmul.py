"""The matrix product that conv2d, the LSTM and the dense layer share.

    forward    C[m, n] = max(floor, C0[m, n] + Σ_k A[m, k] B[k, n])        floor = -inf or, for a ReLU, 0
    backward   dA = dC Bᵀ and dB = Aᵀ dC: products again, with the two strides of an operand exchanged

Why a plain triple loop is slow: it does one multiplication for two loads. The tile below keeps a block of C in
registers for the whole of k, so that ROWS + 1 loads feed ROWS x COLS multiplications:

                        B[k, 0 ... 15]         one load of COLS numbers
                       ┌──────────────┐
        A[0, k]  ──▶   │ C[0, 0 ... 15] │  each number of A is copied to all lanes, multiplied
        A[1, k]  ──▶   │ C[1, 0 ... 15] │  with B's row and added: one fused instruction a row
          ...          │      ...       │
        A[5, k]  ──▶   │ C[5, 0 ... 15] │  6 x 16 float32: 12 of AVX2's 16 registers, or
                       └──────────────┘   12 x 16: 12 of AVX-512's 32

A fused multiplication and addition takes 4 cycles and two begin in each, so at least 8 must be under way: this, and the
number of registers, fix ROWS. The rows of a product are shared out evenly, 17 as 9 and 8, not as 12 and 5.

B is copied into panels beforehand, COLS columns each, so that the tile reads it in one straight line. At most HALF
columns would leave half of the lanes idle, so their panel holds pairs of rows, for an even K:

        panel of COLS columns    │ B[k, 0] B[k, 1] B[k, 2] ... B[k, 15] │                         next k
        panel of HALF columns    │ B[k, 0] B[k+1, 0] B[k, 1] B[k+1, 1] ... B[k, 7] B[k+1, 7] │    next k + 2
        A's two numbers            A[m, k] A[m, k+1] A[m, k] A[m, k+1] ...   in turn; even and odd sums are added last

A is read where it lies, along k or across:

    along     A[a0 + m stride + s step + k]    the numbers of a row are neighbours; S runs of K numbers each make a row:
                                               a convolution's window is kernel rows in S frames, read without copying
    across    A[a0 + ⌊m / run⌋ jump + m mod run + s step + k stride]    the numbers of a column are neighbours, in runs:
                                               a transpose. Here two of A's rows share the lanes where B has at most
                                               HALF columns

Every element is one chain of fused multiply-adds in the order of k (two, of even and odd k, in a panel of pairs),
whatever tile it falls into: a row's bits do not depend on the rows beside it, nor on the number of threads.

A, B, C   flat contiguous arrays of one dtype, float32 or float64; offsets and strides count numbers, not bytes
"""

import numpy as np
from numba import types
from numba.core import cgutils, registry
from numba.extending import intrinsic

from scratchser.kernels._lanes import Lanes
from scratchser.kernels._launch import jit, pjit, prange

FEATURES = registry.cpu_target.target_context.codegen().magic_tuple()[2]  # of the processor that kernels are made for
ROWS, COLS = (12 if "+avx512f" in FEATURES else 6), 16
HALF = COLS // 2
DEPTH = 256  # of one pass over k: a panel of 256 x 16 float32 is 16 KiB, half of a small L1 cache
GROUP = 8  # panels that a core does at a time: they share one reading of A, and C is written in longer pieces
STRIP = 3 * COLS  # rows that it does at a time

EVEN, ODD = range(0, COLS, 2), range(1, COLS, 2)
ZIPPED = [n + half for n in range(HALF) for half in (0, HALF)]  # the lanes of two vectors of HALF numbers, in turn


# ---- one tile: Numba alone would keep it in memory, so this writes LLVM's vector instructions itself ----------------


@intrinsic
def address(typingctx, array, index, like):
    """Where array[index] lies. Tiles take addresses: an array handed on is counted, by all cores in one place, and that
    took a fifth of a convolution's time. TypeError unless the array is of the type of `like`."""
    if array.dtype != like:
        raise TypeError(f"the operands of a product must have one dtype, not {array.dtype} and {like}")

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(builder.gep(data, [args[1]]), args[1].type)

    return types.intp(array, types.intp, like), codegen


def _tile(across=False, pairs=False, runs=False):
    """The tile for an A that lies along k or `across` it, its rows in `runs` or not; `pairs` for at most HALF columns.

        tile(rows, A, stride, step, S, K, row, run, jump, B, bk, N, C0, pitch, C, cm, floor)

    A, B, C0 and C are addresses of numbers of the type of `floor`. C0[m, n] lies m pitch + n numbers from C0, C[m, n]
    m cm + n from C, B[k, n] k bk + n from B, in a panel of pairs k HALF + 2n. N columns are read from C0 and written
    to C. 1 <= rows <= ROWS; two rows of `across` that share their lanes count as one, and its first one is number `row`
    of a run.
    """

    @intrinsic
    def tile(typingctx, rows, A, stride, step, S, K, row, run, jump, B, bk, N, C0, pitch, C, cm, floor):
        def codegen(context, builder, signature, args):
            rows, A, stride, step, S, K, row, run, jump, B, bk, N, C0, pitch, C, cm, floor = args
            lanes, integer = Lanes(context, builder, signature.args[-1], COLS), rows.type
            A, B, C0, C = (builder.inttoptr(place, lanes.number.as_pointer()) for place in (A, B, C0, C))
            sums = [cgutils.alloca_once(builder, lanes.vector) for _ in range(ROWS)]  # they become registers
            together = 2 if pairs else 1  # numbers of A in a vector
            width = HALF if pairs else COLS
            full = builder.icmp_signed("==", N, integer(width))

            def at(pointer, count, size):
                return builder.gep(pointer, [builder.mul(integer(count) if isinstance(count, int) else count, size)])

            def before(m, load):
                """What row m (rows 2m and 2m + 1, where two share their lanes) begins with."""
                if not pairs:
                    return load(at(C0, m, pitch))
                one = load(at(C0, 2 * m if across else m, pitch))
                two = load(at(C0, 2 * m + 1, pitch)) if across else lanes.zeros(HALF)
                return lanes.pick(one, two, ZIPPED)

            def after(m):
                """The places and values of row m (rows 2m and 2m + 1) in the end."""
                total = builder.load(sums[m])
                if not pairs:
                    return [(at(C, m, cm), total)]
                even, odd = lanes.pick(total, total, EVEN), lanes.pick(total, total, ODD)
                if across:
                    return [(at(C, 2 * m, cm), even), (at(C, 2 * m + 1, cm), odd)]
                return [(at(C, m, cm), builder.fadd(even, odd))]

            def row_starts(height):
                """Where the rows of A begin."""
                if not across:
                    return [at(A, m, stride) for m in range(height)]
                starts, number = [A], row
                while len(starts) < height:
                    number = builder.add(number, integer(1))
                    over = builder.icmp_signed("==", number, run)
                    on = builder.select(over, builder.sub(jump, builder.sub(run, integer(1))), integer(1))
                    number = builder.select(over, integer(0), number)
                    starts.append(builder.gep(starts[-1], [on]))
                return starts

            def add_run(starts, s):
                """Add the products of run s to the sums of as many rows as there are starts."""
                steps = builder.sdiv(K, integer(2)) if pairs and not across else K
                offset, panel = builder.mul(s, step), at(B, builder.mul(s, K), bk)
                with cgutils.for_range(builder, steps, intp=integer) as loop:
                    k = loop.index
                    if pairs and across:
                        few = lanes.load(at(panel, k, bk), HALF)
                        row = lanes.pick(few, few, [lane // 2 for lane in range(COLS)])
                    else:
                        row = lanes.load(at(panel, k, integer(COLS) if pairs else bk), COLS)
                    place = builder.add(offset, builder.mul(k, stride if across else integer(together)))
                    for start, total in zip(starts, sums, strict=False):
                        factor = lanes.repeated(builder.gep(start, [place]), together)
                        builder.store(lanes.fma(factor, row, builder.load(total)), total)

            end = builder.append_basic_block("tile.end")
            switch = builder.switch(rows, end)
            for height in range(1, ROWS + 1):
                with builder.goto_block(builder.append_basic_block(f"tile.{height}")):
                    switch.add_case(integer(height), builder.block)
                    with builder.if_else(full) as (whole, part):
                        with whole:
                            for m in range(height):
                                builder.store(before(m, lambda place: lanes.load(place, width)), sums[m])
                        with part:
                            for m in range(height):
                                builder.store(before(m, lambda place: lanes.load_first(place, width, N)), sums[m])
                    # LLVM would get each row's address from that of the row before, one addition after the other, which
                    # takes longer than the products (measured: 1.3 times)
                    if across and not runs:  # one address does for all
                        starts = [at(A, m, integer(together)) for m in range(height)]
                    else:
                        starts = [lanes.hidden(start) for start in row_starts(height)]
                    with cgutils.for_range(builder, S, intp=integer) as loop:
                        add_run(starts, loop.index)
                    results = [(place, lanes.at_least(floor, x)) for m in range(height) for place, x in after(m)]
                    with builder.if_else(full) as (whole, part):
                        with whole:
                            for place, value in results:
                                lanes.store(value, place)
                        with part:
                            for place, value in results:
                                lanes.store_first(value, place, N)
                    builder.branch(end)
            builder.position_at_end(end)
            return context.get_dummy_value()

        return types.void(*(types.intp,) * 16, floor), codegen

    return tile


_along, _along_pairs = _tile(), _tile(pairs=True)
_across, _across_pairs, _across_runs = _tile(across=True), _tile(across=True, pairs=True), _tile(across=True, runs=True)


# ---- copies of a vector: Numba's own loops ask of every index whether it is negative, which makes them scalar -------


@intrinsic
def _copy(typingctx, source, target, count, like):
    """COLS numbers from one address to another; those from `count` on become 0 and are not read."""

    def codegen(context, builder, signature, args):
        lanes = Lanes(context, builder, signature.args[3], COLS)
        source, target = (builder.inttoptr(place, lanes.number.as_pointer()) for place in args[:2])
        lanes.store(lanes.load_first(source, COLS, args[2]), target)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, like), codegen


@intrinsic
def _transpose(typingctx, source, pitch, target, like):
    """COLS rows of COLS numbers, `pitch` apart, to their transpose, whose rows follow each other."""

    def codegen(context, builder, signature, args):
        lanes = Lanes(context, builder, signature.args[3], COLS)
        source, target = (builder.inttoptr(place, lanes.number.as_pointer()) for place in (args[0], args[2]))
        rows = [lanes.load(builder.gep(source, [builder.mul(args[1], args[1].type(r))]), COLS) for r in range(COLS)]
        for _ in range(COLS.bit_length() - 1):  # a perfect shuffle: it turns the bits of (row, column) by one place
            halves = zip(rows[:HALF], rows[HALF:], strict=True)
            rows = [
                lanes.pick(one, two, [n + other for n in range(start, start + HALF) for other in (0, COLS)])
                for one, two in halves
                for start in (0, HALF)
            ]
        for r, row in enumerate(rows):
            lanes.store(row, builder.gep(target, [args[1].type(r * COLS)]))
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, like), codegen


# ---- from tiles to products -----------------------------------------------------------------------------------------


@jit
def panel_width(N, even):
    """Columns of the tile for N <= COLS columns; two numbers share a lane's place only if their number is `even`.

    even   the length of a run for an A that lies along k, M for one that lies across
    """
    return HALF if N <= HALF and even % 2 == 0 else COLS


@jit
def pack(B, b0, bk, bn, K, N, width, pairs, panels, p0):
    """The panel of B[b0 + k bk + n bn], k < K and n < N <= width, at panels[p0]; its columns from N on are zero.

    Rows of `width` numbers one after the other, or `pairs` of them as in the module's text.
    """
    zero = panels.dtype.type(0)
    size, source, target = panels.itemsize, address(B, b0, zero), address(panels, p0, zero)
    k = 0
    if width == COLS and bn == 1:
        while k < K:
            _copy(source + size * k * bk, target + size * k * COLS, N, zero)
            k += 1
    elif N == COLS and bk == 1:
        while k + COLS <= K:
            _transpose(source + size * k, bn, target + size * k * COLS, zero)
            k += COLS
    while k < K:
        for n in range(width):
            place = k // 2 * COLS + 2 * n + k % 2 if pairs else k * width + n
            panels[p0 + place] = B[b0 + k * bk + n * bn] if n < N else zero
        k += 1


@jit
def pack_all(B, b0, bk, bn, K, N, run):
    """All panels of a K x N matrix for an A that lies along k in runs; the one that begins with column n is at n K."""
    full = N // COLS * COLS
    tail = panel_width(N - full, run)
    panels = np.empty((full + (tail if full < N else 0)) * K, B.dtype)
    for n in range(0, N, COLS):
        width = tail if n == full else COLS
        pack(B, b0 + n * bn, bk, bn, K, min(COLS, N - n), width, width == HALF, panels, n * K)
    return panels


@jit
def multiply_along(A, a0, stride, step, S, K, M, B, b0, N, width, C0, first, pitch, floor, C, c0, cm):
    """C (M, N) = max(floor, C0 + A (M, S K) B (S K, N)) of a panel B of N <= COLS columns in tiles of `width`.

    A lies along k as in the module's text. The rows are shared evenly among the tiles that it takes.
    """
    tiles, size = (M + ROWS - 1) // ROWS, C.itemsize
    a, b = address(A, a0, floor), address(B, b0, floor)
    before, c = address(C0, first, floor), address(C, c0, floor)
    for i in range(tiles):
        m = i * M // tiles
        rows = (i + 1) * M // tiles - m
        at, source, target = a + size * m * stride, before + size * m * pitch, c + size * m * cm
        if width == COLS:
            _along(rows, at, stride, step, S, K, 0, 0, 0, b, COLS, N, source, pitch, target, cm, floor)
        else:
            _along_pairs(rows, at, stride, step, S, K, 0, 0, 0, b, HALF, N, source, pitch, target, cm, floor)


@jit
def add_across(A, a0, stride, step, S, K, run, jump, M, B, b0, bk, N, width, C, c0, cm):
    """C (M, N) += A (M, S K) B (S K, N) for N <= COLS columns in tiles of `width`.

    A lies across as in the module's text. B's rows are bk apart, and `width` numbers of them are read, whatever N is.
    """
    nothing, size = C.dtype.type(-np.inf), C.itemsize
    a, b, c = address(A, a0, nothing), address(B, b0, nothing), address(C, c0, nothing)
    if run < ROWS and width == COLS:  # a tile of a single run would be too low to hide how long a product takes
        tiles = (M + ROWS - 1) // ROWS
        for i in range(tiles):
            m = i * M // tiles
            rows, at, target = (i + 1) * M // tiles - m, a + size * (m // run * jump + m % run), c + size * m * cm
            _across_runs(rows, at, stride, step, S, K, m % run, run, jump, b, bk, N, target, cm, target, cm, nothing)
        return
    together = COLS // width
    tiles = (run + ROWS * together - 1) // (ROWS * together)
    for i in range(M // run):
        for j in range(tiles):
            first = j * (run // together) // tiles
            rows, m = (j + 1) * (run // together) // tiles - first, first * together
            at, target = a + size * (i * jump + m), c + size * (i * run + m) * cm
            if width == COLS:
                _across(rows, at, stride, step, S, K, 0, 0, 0, b, bk, N, target, cm, target, cm, nothing)
            else:
                _across_pairs(rows, at, stride, step, S, K, 0, 0, 0, b, bk, N, target, cm, target, cm, nothing)


@jit
def pack_rows(A, a0, stride, K, M, strip):
    """strip[k STRIP + m] = A[a0 + k stride + m], m < M <= STRIP: where A lies, each k can be in a page of its own."""
    zero = strip.dtype.type(0)
    size, source, target = strip.itemsize, address(A, a0, zero), address(strip, 0, zero)
    for m in range(0, M, COLS):
        for k in range(K):
            _copy(source + size * (k * stride + m), target + size * (k * STRIP + m), min(COLS, M - m), zero)


@pjit
def add_product(A, am, ak, B, bk, bn, C, M, N, K):
    """C (M, N) += A (M, K) B (K, N), a core per group of panels; A, B, C flat, C with rows of N numbers.

    The strides (am, ak) and (bk, bn) tell which way an operand lies: (K, 1) and (N, 1) as written, exchanged for its
    transpose. One of am and ak is 1.
    """
    across, nothing = ak != 1, C.dtype.type(-np.inf)
    total = (N + COLS - 1) // COLS
    groups = (total + 4 * GROUP - 1) // (4 * GROUP) * 4  # a multiple of 4, so that two or four cores have equal shares
    for j in prange(groups):
        left, right = j * total // groups * COLS, min(N, (j + 1) * total // groups * COLS)
        panels = np.empty(min(K, DEPTH) * GROUP * COLS, C.dtype)
        strip = np.empty(min(K, DEPTH) * STRIP, C.dtype)
        for k in range(0, K, DEPTH):
            depth = min(DEPTH, K - k)
            for n in range(left, right, COLS):
                width = panel_width(right - n, M if across else depth)
                pairs = width == HALF and not across
                pack(B, k * bk + n * bn, bk, bn, depth, min(COLS, right - n), width, pairs, panels, (n - left) * depth)
            for m in range(0, M, STRIP):
                rows = min(STRIP, M - m)
                if across:
                    pack_rows(A, m + k * ak, ak, depth, rows, strip)
                for n in range(left, right, COLS):
                    columns, at = min(COLS, right - n), m * N + n
                    width = panel_width(columns, M if across else depth)
                    if across:
                        add_across(
                            strip, 0, STRIP, 0, 1, depth, rows, 0, rows, panels, (n - left) * depth, width, columns,
                            width, C, at, N,
                        )  # fmt: skip
                    else:
                        multiply_along(
                            A, m * am + k, am, 0, 1, depth, rows, panels, (n - left) * depth, columns, width,
                            C, at, N, nothing, C, at, N,
                        )  # fmt: skip
