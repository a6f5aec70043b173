"""What a launch takes at best, against figures by hand."""

import numpy as np
import pytest

from scratchser.bench.cuda import costs
from scratchser.bench.cuda.costs import Needed
from scratchser.bench.cuda.roofline import GPUS, Gpu, account, accounts, issued_bytes, launch_time, times
from scratchser.kernels import linear, nesterov, softmax
from scratchser.kernels.machine.device import SIMULATED

SLOW = Gpu("slow", flops=1e9, bandwidth=1e8, source="made up: ten operations for a byte")


def update(n, dtype=np.float32):
    """One launch of the update of n parameters in one segment."""
    W, V, dW = (SIMULATED.zeros(n, dtype) for _ in range(3))
    return costs.recorded(lambda: nesterov.step(W, V, dW, np.array([n]), np.ones(1), np.ones(1), 0.9))[0]


def test_memory_or_arithmetic_whichever_is_longer_launch_by_launch():
    launch = update(1000)
    found = times(SLOW, [Needed(bytes=100, operations=4000), Needed(bytes=300, operations=1000)], [launch, launch])
    assert found["memory"] == pytest.approx(4e-6) and found["arithmetic"] == pytest.approx(5e-6)
    assert found["roofline"] == pytest.approx(4e-6 + 3e-6)


def test_a_launch_takes_longer_for_each_array():
    assert launch_time(update(1000)) == pytest.approx(6.6e-6 + 7 * 3.75e-6)  # W, V, dW, pieces, segments, rate, l2


def test_the_account_of_an_update():
    """A million parameters: W, v and dW read and written are 24 MB; ours reads 5 numbers more in each of its threads,
    which are 256 for 2048 parameters."""
    one = account("nesterov.step_cuda", [update(1_000_000)])
    assert one.needed.bytes == 24_000_000 and one.issued_bytes == 24_000_000 + 489 * 256 * 5 * 4
    assert one.waste == pytest.approx(2503680 / 26503680) and one.intensity == pytest.approx(1 / 3)
    assert one.times["T4"]["roofline"] == pytest.approx(24e6 / 320e9)
    assert one.bound("T4") == "memory" and one.bound("H100") == "launch"  # 75, 7 and 29 µs


def test_a_launch_of_little_is_bound_by_the_host():
    z, t, w = (SIMULATED.zeros(shape, np.float32) for shape in ((16, 4), (16, 4), 16))
    (one,) = accounts(costs.recorded(lambda: softmax.loss(z, t, w)))
    assert [one.bound(gpu.name) for gpu in GPUS] == ["launch"] * 3


def test_a_large_product_is_bound_by_arithmetic():
    """512 x 4096 x 4096: 17 GFLOP for 84 MB."""
    x, W, b = (SIMULATED.zeros(shape, np.float32) for shape in ((512, 4096), (4096, 4096), 4096))
    (one,) = accounts(costs.recorded(lambda: linear.forward(x, W, b)))
    assert [one.bound(gpu.name) for gpu in GPUS] == ["arithmetic"] * 3
    assert one.times["H100"]["roofline"] == pytest.approx(one.needed.operations / 67e12)


def test_launches_of_one_kernel_are_added_up():
    one, two = update(1000), update(3000)
    (both,) = accounts([one, two])
    assert both.launches == 2 and both.needed.bytes == 24 * 4000
    assert both.issued.global_writes == 3 * 4000 and both.issued_bytes == issued_bytes(one) + issued_bytes(two)


def test_elements_of_two_sizes_are_not_mixed_up():
    with pytest.raises(ValueError, match=r"nesterov.step_cuda has elements of \[4, 8\] bytes"):
        issued_bytes(update(1000, np.float64))
