"""Occupancy by hand against NVIDIA's own cuda_occupancy.h, of CUDA 12.9.

The header was compiled once and asked 879750 questions (five capabilities, 1 to 1024 threads, 1 to 253 registers, 0 to
48 KB); all answers were equal. These are some of them, of each capability and for each limit.
"""

import pytest

from scratchser.bench.cuda.occupancy import MULTIPROCESSORS, SHARED_OF_A_BLOCK, occupancy


@pytest.mark.parametrize(
    ("capability", "threads", "registers", "shared", "blocks", "limit"),
    [
        ((7, 5), 1, 1, 0, 16, "blocks"),
        ((7, 5), 332, 28, 3333, 2, "warps"),
        ((7, 5), 365, 97, 39996, 1, "registers"),
        ((7, 5), 64, 160, 25553, 2, "shared memory"),
        ((8, 0), 8, 16, 0, 32, "blocks"),
        ((8, 0), 266, 1, 21109, 7, "warps"),
        ((8, 0), 167, 130, 24442, 2, "registers"),
        ((8, 0), 120, 49, 21109, 7, "shared memory"),
        ((9, 0), 860, 19, 24442, 2, "warps"),
        ((9, 0), 563, 52, 29997, 2, "registers"),
        ((9, 0), 64, 1, 44440, 5, "shared memory"),
        ((10, 0), 92, 16, 8888, 21, "warps"),
        ((10, 0), 92, 235, 24442, 2, "registers"),
        ((10, 0), 99, 22, 19998, 11, "shared memory"),
        ((12, 0), 29, 61, 0, 24, "blocks"),
        ((12, 0), 134, 40, 9999, 9, "warps"),
        ((12, 0), 64, 190, 11110, 4, "registers"),
        ((12, 0), 365, 34, 48884, 2, "shared memory"),
    ],
)
def test_as_many_blocks_as_nvidias_header_says(capability, threads, registers, shared, blocks, limit):
    found = occupancy(capability, threads, registers, shared)
    assert (found.blocks, found.limit) == (blocks, limit)
    assert found.share == blocks * -(-threads // 32) / MULTIPROCESSORS[capability].warps


@pytest.mark.parametrize(
    ("capability", "threads", "registers"),
    [
        ((7, 5), 431, 241),  # 107520 registers
        ((8, 0), 563, 109),  # 64512 of 65536 registers, 18 warps: counted as if they were 20
        ((9, 0), 299, 205),  # 66560, once a warp's registers are rounded up and the 10 warps are counted as 12
    ],
)
def test_what_cannot_be_launched_has_no_block(capability, threads, registers):
    assert occupancy(capability, threads, registers, 0).blocks == 0


@pytest.mark.parametrize("capability", MULTIPROCESSORS)
def test_the_limits_of_a_block(capability):
    assert occupancy(capability, 1024, 32, SHARED_OF_A_BLOCK).blocks >= 1
    assert occupancy(capability, 1056, 32, 0).blocks == 0
    assert occupancy(capability, 32, 32, SHARED_OF_A_BLOCK + 1).blocks == 0


def test_a_full_multiprocessor():
    assert occupancy((9, 0), 256, 32, 0).share == 1
    assert occupancy((9, 0), 256, 33, 0).share == 0.75  # 40 registers each: 48 of the 64 warps
