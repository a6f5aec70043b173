"""The tile of matmul.py as LLVM's vector instructions: from a Python loop Numba would keep it in memory.

What it computes, and why it has this size, is drawn in matmul.py. Here is how: the sums of all rows are variables that
LLVM keeps in registers; for each k one vector of B is loaded, and for each row one or two numbers of A are copied to
all lanes and multiplied with it. Everything here works on addresses, because an array that is handed on is counted, by
all cores in one place (a fifth of a convolution's time, measured); who calls keeps the arrays alive.
"""

from functools import partial

from numba import types
from numba.core import cgutils, registry

from scratchser.kernels.machine import plain
from scratchser.kernels.machine.compile import jit
from scratchser.kernels.machine.lanes import Lanes

FEATURES = registry.cpu_target.target_context.codegen().magic_tuple()[2]  # of the processor that kernels are made for
ROWS, COLS = (12 if "+avx512f" in FEATURES else 6), 16
HALF = COLS // 2

EVEN, ODD = range(0, COLS, 2), range(1, COLS, 2)
ZIPPED = [n + half for n in range(HALF) for half in (0, HALF)]  # the lanes of two vectors of HALF numbers, in turn


@plain.instructions(plain.address)
def address(typingctx, array, index, like):
    """Where array[index] lies. TypeError unless the array is of the type of `like`."""
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

    @plain.instructions(plain.tile(across, pairs, runs, HALF))
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
                    # LLVM would get each row's address from that of the row before, a chain of additions for each k
                    # (convolutions take up to 1.15 times as long, measured)
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


along, along_pairs = _tile(), _tile(pairs=True)
across, across_pairs, across_runs = _tile(across=True), _tile(across=True, pairs=True), _tile(across=True, runs=True)


# ---- copies of a vector: Numba's own loops ask of every index whether it is negative, which makes them scalar -------


@plain.instructions(partial(plain.copy, columns=COLS))
def copy(typingctx, source, target, count, like):
    """COLS numbers from one address to another; those from `count` on become 0 and are not read."""

    def codegen(context, builder, signature, args):
        lanes = Lanes(context, builder, signature.args[3], COLS)
        source, target = (builder.inttoptr(place, lanes.number.as_pointer()) for place in args[:2])
        lanes.store(lanes.load_first(source, COLS, args[2]), target)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, like), codegen


@plain.instructions(partial(plain.transpose, columns=COLS))
def transpose(typingctx, source, pitch, target, like):
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


# ---- panels of B ----------------------------------------------------------------------------------------------------


@jit
def panel_width(N, even):
    """Columns of the tile for N <= COLS columns: HALF needs an `even` number, of which it takes two together.

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
            copy(source + size * k * bk, target + size * k * COLS, N, zero)
            k += 1
    elif N == COLS and bk == 1:
        while k + COLS <= K:
            transpose(source + size * k, bn, target + size * k * COLS, zero)
            k += COLS
    while k < K:
        for n in range(width):
            place = k // 2 * COLS + 2 * n + k % 2 if pairs else k * width + n
            panels[p0 + place] = B[b0 + k * bk + n * bn] if n < N else zero
        k += 1
