"""exp x - 1 as arithmetic alone, so that LLVM computes it for a SIMD vector; math.expm1 is a call for each element.

    x = n ln 2 + r,  integer n,  |r| <= ln 2 / 2      exp x - 1 = 2^n (exp r - 1) + (2^n - 1)
    exp r - 1 = r + r² (1/2! + r (1/3! + r (1/4! + ...)))        7 terms in float32, 13 in float64: the next is below
                                                                 half a unit of the last place

Small x lose no digits, since n = 0 there and no 1 is added. NaN stays NaN. x is clipped to ±87 (float64 ±708), beyond
which 2^n would leave the exponent's range.
"""

import math
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from scratchser.kernels.machine import plain

#                  bits of the fraction, of the exponent's bias; terms; largest |x|
FORMAT = {types.float32: (23, 127, 7, 87.0), types.float64: (52, 1023, 13, 708.0)}


@plain.instructions(plain.expm1)
def expm1(typingctx, x):
    """exp x - 1 of a float32 or float64, to about 2 units in the last place."""
    if x not in FORMAT:
        raise TypeError(f"expm1 takes float32 or float64, not {x}")
    fraction, bias, terms, largest = FORMAT[x]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        real, integer = args[0].type, ir.IntType(x.bitwidth)
        function = ir.FunctionType(real, [real] * 3)
        fma = cgutils.get_or_insert_function(builder.module, function, f"llvm.fma.f{x.bitwidth}")

        def multiply_add(a, b, c):
            return builder.call(fma, [a, b, c])

        high, low = math.log(2), 2.3190468138462996e-17  # ln 2 = high + low
        if x == types.float32:
            high, low = 0.693147182464599609375, -1.904654299957768e-09
        z = args[0]
        for bound, below in ((-largest, "<"), (largest, ">")):
            z = builder.select(builder.fcmp_ordered(below, z, real(bound)), real(bound), z)
        # 1.5 · 2^fraction leaves no bits for a fraction: the sum is rounded, and its last bits are n
        shifter = real(1.5 * 2.0**fraction)
        shifted = multiply_add(z, real(1 / math.log(2)), shifter)
        n = builder.fsub(shifted, shifter)
        power = builder.add(builder.bitcast(shifted, integer), integer(bias))
        power = builder.bitcast(builder.shl(power, integer(fraction)), real)
        r = multiply_add(n, real(-low), multiply_add(n, real(-high), z))
        series = real(1 / math.factorial(terms))
        for k in range(terms - 1, 1, -1):
            series = multiply_add(series, r, real(1 / math.factorial(k)))
        small = multiply_add(builder.fmul(r, r), series, r)
        return multiply_add(power, small, builder.fsub(power, real(1.0)))

    return x(x), codegen
