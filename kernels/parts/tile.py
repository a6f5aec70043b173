"""The register tile of matmul.py, written as LLVM vector instructions: Numba would keep a Python loop's sums in memory.

matmul.py draws what the tile computes and explains its size. The sums of all rows are variables that LLVM keeps in
registers. For each k, one vector of B is loaded, and for each row one or two elements of A are copied to all lanes and
multiplied by it.

All functions here work on addresses. Passing an array would count its references, in one place for all cores (measured:
a fifth of a convolution's time). The caller keeps the arrays alive.
"""

from functools import partial

from numba import types
from numba.core import cgutils, registry

from scratchser.kernels.machine import plain
from scratchser.kernels.machine.compile import jit
from scratchser.kernels.machine.lanes import Lanes

FEATURES = registry.cpu_target.target_context.codegen().magic_tuple()[2]  # of the processor we compile for
ROWS, COLS = (12 if "+avx512f" in FEATURES else 6), 16
HALF = COLS // 2

EVEN, ODD = range(0, COLS, 2), range(1, COLS, 2)
ZIPPED = [n + half for n in range(HALF) for half in (0, HALF)]  # the lanes of two vectors of HALF elements, in turn


@plain.instructions(plain.address)
def address(typingctx, array, index, like):
    """Address of array[index]. Raises TypeError unless the array has the type of `like`."""
    if array.dtype != like:
        raise TypeError(f"the operands of a product must have one dtype, not {array.dtype} and {like}")

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(builder.gep(data, [args[1]]), args[1].type)

    return types.intp(array, types.intp, like), codegen


def _tile(across=False, pairs=False, runs=False):
    """The tile for matmul.Rows (along k) or matmul.Columns (`across`), in `runs` or not; `pairs` for HALF columns.

        tile(rows, A, stride, step, S, K, row, run, jump, B, bk, N, C0, pitch, C, cm, floor)

    rows                    1 ... ROWS; two rows of `across` that share the lanes of a vector (`pairs`) count as one
    A, B, C0, C             addresses of elements of the type of `floor`
    stride, step, S, K      as in matmul.Rows and matmul.Columns
    row, run, jump          for `runs`: the first row is number `row` of its run; the rest as in matmul.Columns
    bk                      B[k, n] lies k bk + n from B, in a panel of pairs k HALF + 2n
    N                       columns that are read from C0 and written to C
    pitch, cm               C0[m, n] lies m pitch + n from C0, and C[m, n] m cm + n from C

    An intrinsic works on single LLVM values, here integers (also the addresses) and `floor`. So the callers unpack the
    layouts of matmul.py, and the numbers are spelled out here.
    """

    @plain.instructions(plain.tile(across, pairs, runs, HALF))
    def tile(typingctx, rows, A, stride, step, S, K, row, run, jump, B, bk, N, C0, pitch, C, cm, floor):
        def codegen(context, builder, signature, args):
            rows, A, stride, step, S, K, row, run, jump, B, bk, N, C0, pitch, C, cm, floor = args
            lanes, integer = Lanes(context, builder, signature.args[-1], COLS), rows.type
            A, B, C0, C = (builder.inttoptr(at, lanes.element.as_pointer()) for at in (A, B, C0, C))
            sums = [cgutils.alloca_once(builder, lanes.vector) for _ in range(ROWS)]  # they become registers
            together = 2 if pairs else 1  # elements of A in a vector
            width = HALF if pairs else COLS
            full = builder.icmp_signed("==", N, integer(width))

            def at(pointer, count, size):
                return builder.gep(pointer, [builder.mul(integer(count) if isinstance(count, int) else count, size)])

            def before(m, load):
                """The initial value of row m, or of rows 2m and 2m + 1 where two share the lanes."""
                if not pairs:
                    return load(at(C0, m, pitch))
                one = load(at(C0, 2 * m if across else m, pitch))
                two = load(at(C0, 2 * m + 1, pitch)) if across else lanes.zeros(HALF)
                return lanes.pick(one, two, ZIPPED)

            def after(m):
                """Addresses and final values of row m, or of rows 2m and 2m + 1."""
                total = builder.load(sums[m])
                if not pairs:
                    return [(at(C, m, cm), total)]
                even, odd = lanes.pick(total, total, EVEN), lanes.pick(total, total, ODD)
                if across:
                    return [(at(C, 2 * m, cm), even), (at(C, 2 * m + 1, cm), odd)]
                return [(at(C, m, cm), builder.fadd(even, odd))]

            def row_starts(height):
                """Addresses of the rows of A."""
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

            def add_range(starts, s):
                """Add the products of range s of k, for each row in `starts`."""
                steps = builder.sdiv(K, integer(2)) if pairs and not across else K
                offset, panel = builder.mul(s, step), at(B, builder.mul(s, K), bk)
                with cgutils.for_range(builder, steps, intp=integer) as loop:
                    k = loop.index
                    if pairs and across:
                        few = lanes.load(at(panel, k, bk), HALF)
                        row = lanes.pick(few, few, [lane // 2 for lane in range(COLS)])
                    else:
                        row = lanes.load(at(panel, k, integer(COLS) if pairs else bk), COLS)
                    along_k = builder.add(offset, builder.mul(k, stride if across else integer(together)))
                    for start, total in zip(starts, sums, strict=False):
                        factor = lanes.repeated(builder.gep(start, [along_k]), together)
                        builder.store(lanes.fma(factor, row, builder.load(total)), total)

            end = builder.append_basic_block("tile.end")
            switch = builder.switch(rows, end)
            for height in range(1, ROWS + 1):
                with builder.goto_block(builder.append_basic_block(f"tile.{height}")):
                    switch.add_case(integer(height), builder.block)
                    with builder.if_else(full) as (all_columns, some_columns):
                        with all_columns:
                            for m in range(height):
                                builder.store(before(m, lambda at: lanes.load(at, width)), sums[m])
                        with some_columns:
                            for m in range(height):
                                builder.store(before(m, lambda at: lanes.load_first(at, width, N)), sums[m])
                    # Hidden, because LLVM would compute each row's address from that of the row before: a chain of
                    # additions for each k (measured: convolutions take up to 1.15 times as long).
                    if across and not runs:  # one address serves all rows
                        starts = [at(A, m, integer(together)) for m in range(height)]
                    else:
                        starts = [lanes.hidden(start) for start in row_starts(height)]
                    with cgutils.for_range(builder, S, intp=integer) as loop:
                        add_range(starts, loop.index)
                    results = [(target, lanes.at_least(floor, x)) for m in range(height) for target, x in after(m)]
                    with builder.if_else(full) as (all_columns, some_columns):
                        with all_columns:
                            for target, value in results:
                                lanes.store(value, target)
                        with some_columns:
                            for target, value in results:
                                lanes.store_first(value, target, N)
                    builder.branch(end)
            builder.position_at_end(end)
            return context.get_dummy_value()

        return types.void(*(types.intp,) * 16, floor), codegen

    return tile


along, along_pairs = _tile(), _tile(pairs=True)
across, across_pairs, across_runs = _tile(across=True), _tile(across=True, pairs=True), _tile(across=True, runs=True)


# ---- copies of a vector: Numba's own loops check every index for a negative sign, which keeps them scalar -----------


@plain.instructions(partial(plain.copy, columns=COLS))
def copy(typingctx, source, target, count, like):
    """Copy COLS elements from one address to another; those from `count` on are not read and become 0."""

    def codegen(context, builder, signature, args):
        lanes = Lanes(context, builder, signature.args[3], COLS)
        source, target = (builder.inttoptr(at, lanes.element.as_pointer()) for at in args[:2])
        lanes.store(lanes.load_first(source, COLS, args[2]), target)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, like), codegen


@plain.instructions(partial(plain.transpose, columns=COLS))
def transpose(typingctx, source, pitch, target, like):
    """Transpose COLS rows of COLS elements, `pitch` apart, to rows that follow each other."""

    def codegen(context, builder, signature, args):
        lanes = Lanes(context, builder, signature.args[3], COLS)
        source, target = (builder.inttoptr(at, lanes.element.as_pointer()) for at in (args[0], args[2]))
        rows = [lanes.load(builder.gep(source, [builder.mul(args[1], args[1].type(r))]), COLS) for r in range(COLS)]
        for _ in range(COLS.bit_length() - 1):  # a perfect shuffle rotates the bits of (row, column) by one
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


# ---- panels of B: COLS columns, copied so that the tile reads them in one straight line -----------------------------


@jit
def panel_width(N, even):
    """Columns of the tile for N <= COLS columns, COLS or HALF. HALF takes pairs, so it needs an `even` number of them.

    even   the length of a range of matmul.Rows, or the number of rows of matmul.Columns
    """
    return HALF if N <= HALF and even % 2 == 0 else COLS


@jit
def pack(B, start, row, column, K, N, width, pairs, panels, target_start):
    """Copy the matrix B[start + k row + n column], k < K, n < N <= width, to a panel at panels[target_start].

    A tile of HALF columns would leave half of the lanes idle, so its panel holds pairs of rows:

        panel of COLS columns    │ B[k, 0] B[k, 1] B[k, 2] ... B[k, 15] │                               then k + 1
        panel of HALF columns    │ B[k, 0] B[k+1, 0] B[k, 1] B[k+1, 1] ... B[k, 7] B[k+1, 7] │          then k + 2
        meets elements of A        A[m, k] A[m, k+1] A[m, k] A[m, k+1] ...     even and odd sums are added at the end

    Columns from N on are zero. Without `pairs`, a panel of HALF columns holds one row after the other.
    """
    zero = panels.dtype.type(0)
    size, source, target = panels.itemsize, address(B, start, zero), address(panels, target_start, zero)
    k = 0
    if width == COLS and column == 1:
        while k < K:
            copy(source + size * k * row, target + size * k * COLS, N, zero)
            k += 1
    elif N == COLS and row == 1:
        while k + COLS <= K:
            transpose(source + size * k, column, target + size * k * COLS, zero)
            k += COLS
    while k < K:  # what neither vector copy has done
        for n in range(width):
            at = k // 2 * COLS + 2 * n + k % 2 if pairs else k * width + n
            panels[target_start + at] = B[start + k * row + n * column] if n < N else zero
        k += 1
