"""How many blocks of a kernel a multiprocessor holds at a time, and what share of its warps they are.

By hand from the limits in the CUDA programming guide (Technical Specifications per Compute Capability); how registers
and shared memory are rounded up is not in it but in NVIDIA's header cuda_occupancy.h, which comes with the CUDA
runtime. A limit, no measurement: a full multiprocessor hides the memory's latency best, and a kernel whose threads
each have much to do at a time can be as fast with less.
"""

from dataclasses import dataclass

Capability = tuple[int, int]

WARP = 32  # threads
REGISTERS = 65536  # of a multiprocessor, and at most of a block; all of these capabilities
REGISTER_UNIT = 256  # a warp's registers are rounded up to it
PARTS = 4  # of a multiprocessor; a warp's registers lie in one
THREADS_OF_A_BLOCK = 1024
SHARED_OF_A_BLOCK = 48 * 1024  # bytes, static and dynamic; more is given to those that ask the driver for it


@dataclass(frozen=True)
class Multiprocessor:
    warps: int
    blocks: int
    shared: int  # bytes, where as little as possible of the memory is cache
    shared_unit: int  # a block's bytes are rounded up to it
    reserved: int  # bytes that the system takes of each block's


MULTIPROCESSORS: dict[Capability, Multiprocessor] = {
    (7, 5): Multiprocessor(32, 16, 64 * 1024, 256, 0),
    (8, 0): Multiprocessor(64, 32, 164 * 1024, 128, 1024),
    (9, 0): Multiprocessor(64, 32, 228 * 1024, 128, 1024),
    (10, 0): Multiprocessor(64, 32, 228 * 1024, 128, 1024),
    (12, 0): Multiprocessor(48, 24, 100 * 1024, 128, 1024),
}


@dataclass(frozen=True)
class Occupancy:
    blocks: int  # of one multiprocessor at a time; 0: the kernel cannot be launched
    share: float  # of the warps that it could hold
    limit: str  # what there is not more of: warps, blocks, registers, shared memory


def occupancy(capability: Capability, threads: int, registers: int, shared: int) -> Occupancy:
    """For blocks of so many threads, with so many registers a thread and so many bytes of shared memory a block."""
    sm = MULTIPROCESSORS[capability]
    warps = -(-threads // WARP)
    of_a_warp = _up(registers * WARP, REGISTER_UNIT)
    bytes = _up(shared + sm.reserved, sm.shared_unit)
    limits = {
        "warps": sm.warps // warps,
        "blocks": sm.blocks,
        "registers": REGISTERS // PARTS // of_a_warp * PARTS // warps,
        "shared memory": sm.shared // bytes if bytes else sm.blocks,
    }
    limit = min(limits, key=lambda name: limits[name])
    # a launch counts registers as if each part got as many warps as the fullest one
    fits = threads <= THREADS_OF_A_BLOCK and shared <= SHARED_OF_A_BLOCK
    fits = fits and of_a_warp * _up(warps, PARTS) <= REGISTERS
    blocks = limits[limit] if fits else 0
    return Occupancy(blocks, blocks * warps / sm.warps, limit)


def _up(number: int, unit: int) -> int:
    return -(-number // unit) * unit
