"""docs/verification.md, written from what the tests hold: python tests/helpers/verification.py > docs/verification.md"""

import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "helpers"), str(TESTS / "kernels"), str(TESTS / "tracer")]

from scratchser.bench.cuda import costs  # noqa: E402

HEAD = """\
# What is known of the CUDA kernels, and how

**No kernel of this project has been run on a GPU yet.** CI has none. Two other kinds of trust stand in, which are not
the same and are not to be mixed:

- **executed**: the kernel's Python text has run, on the CPU, and its results were compared. In Numba's simulator
  (`tests/kernels/test_simulator.py` runs every test of the CUDA side there, and asks whether each kernel below was launched),
  and under the **tracer** (`scratchser/tracer`), which watches every access: races, barriers that not all threads
  reach, reads of unwritten shared memory, indices out of range, and the number of accesses, which has to be what
  `scratchser/costs` says. Results are compared with the CPU side, whose truth is the slow texts in `scratchser/truth`,
  and backward passes with finite differences.
- **compiled**: NVIDIA's compilers have made machine code of it, for compute capabilities 7.5, 8.0, 9.0, 10.0 and 12.0
  in both precisions, and found nothing that is not wanted there (`docs/kernels.md`, tests/bench/test_ptx.py).

What neither shows: whether Numba's compiled kernel does what its Python text does; faults of the real memory model that
need thousands of threads; anything about time. `docs/gpu.md` tells how to find out.

| kernel | executed and traced by | compiled | run on a GPU |
|---|---|---|---|
"""

FAULTS = """
## Planted faults

A check that has never failed proves little. So faults are planted into the kernels, a line exchanged for another, and
each must be given away: by the tracer ("race", "divergence", "uninitialised", "out of range"), or by the comparison
("result"). Every row is one case of `test_a_planted_fault_is_caught` in the file of its heading; the LSTM's `multiply`
has `test_a_fault_planted_in_the_stream_is_caught`.

The compile check is tested on kernels that compute in double precision, spill, or take too much of a block, in
`tests/bench/test_ptx.py`. The tracer itself is tested on kernels of its own (`tests/planted.py`), for several block sizes, in
`tests/tracer/test_tracer.py`:

"""


def of_tracer() -> Iterator[str]:
    """The tests of the tracer that plant a fault."""
    module = importlib.import_module("test_tracer")
    for name, test in vars(module).items():
        if name.startswith("test_") and "plant(" in inspect.getsource(test):
            yield f"- `{name}`"


ROOMS = {
    "frames": "lstm",
    "stream": "lstm",
    "batchnorm_frame": "batchnorm",
    "statistics": "batchnorm",
}  # and whose they are


def operations() -> list[str]:
    return sorted(
        path.stem.removeprefix("test_").removesuffix("_cuda") for path in TESTS.glob("kernels/test_*_cuda.py")
    )


def kernels() -> Iterator[str]:
    for name in costs.kernel_names():
        op = name.partition(".")[0]
        yield f"| {name} | tests/kernels/test_{ROOMS.get(op, op)}_cuda.py | yes | no |"


def faults(op: str) -> Iterator[str]:
    """The table of an op's test file; nothing where it has none. Its cases end with the four things that are shown."""
    module = importlib.import_module(f"test_{op}_cuda")
    planted = [case[-4:] for case in getattr(module, "FAULTS", ())]
    planted += [("multiply", *case) for case in getattr(module, "MULTIPLY", ())]
    if planted:
        yield f"\n### tests/kernels/test_{op}_cuda.py\n\n| function | line | exchanged for | seen as |\n|---|---|---|---|"
        for function, line, instead, kind in planted:
            cells = (cell.replace("|", "\\|") for cell in (line, instead))
            yield f"| {function} | {' | '.join(f'`{cell}`' for cell in cells)} | {kind} |"


def text() -> str:
    lines = [row for op in operations() for row in faults(op)]
    return HEAD + "\n".join(kernels()) + "\n" + FAULTS + "\n".join([*of_tracer(), *lines]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
