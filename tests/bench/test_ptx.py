"""Kernels compiled without a GPU: faults are seen in the output of ptxas, and in kernels with planted faults."""

import numpy as np
import pytest
from planted import plant

from scratchser.bench import __main__ as main
from scratchser.bench.cuda import kernels_page, paper_step, ptx
from scratchser.bench.cuda.ptx import Build, Variant
from scratchser.kernels import linear, norms, softmax
from scratchser.kernels.machine.compile import cuda, cuda_jit
from scratchser.support.errors import ProcessingError

CLEAN = Build(registers=32, static=0, stack=0, spilled=0, doubles=0)


def missing() -> str:
    """Why nothing can be compiled here; empty if the compilers are installed."""
    try:
        ptx.compilers()
    except ProcessingError as error:
        return str(error)
    return ""


needs_compilers = pytest.mark.skipif(bool(missing()), reason=missing())

# ---- the output of ptxas --------------------------------------------------------------------------------------------

OUTPUT = """
ptxas info    : Function properties for _ZN5norms11chunks_cuda
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 22 registers, used 1 barriers, 1024 bytes smem, 464 bytes cmem[0]
"""
SPILLED = """
ptxas warning : Registers are spilled to local memory in function 'f', 308 bytes spill stores, 560 bytes spill loads
    232 bytes stack frame, 308 bytes spill stores, 560 bytes spill loads
ptxas info    : Used 40 registers, used 0 barriers, 232 bytes cumulative stack size, 468 bytes cmem[0]
"""
DOUBLES = "ptxas kernel.ptx, line 57; warning : Program is doing double precision computations.\n" * 3


def test_figures_are_read():
    assert ptx.read(OUTPUT) == Build(registers=22, static=1024, stack=0, spilled=0, doubles=0)
    assert ptx.read(DOUBLES + SPILLED) == Build(registers=40, static=0, stack=232, spilled=868, doubles=3)


@pytest.mark.parametrize(("words", "instead"), [("Used", "Needs"), ("spill stores", "stores")])
def test_a_missing_figure_is_not_zero(words, instead):
    with pytest.raises(ProcessingError, match="did not report registers and stack"):
        ptx.read(OUTPUT.replace(words, instead))


# ---- what is a fault ------------------------------------------------------------------------------------------------


def faults(dtype="float32", threads=256, dynamic=0, **figures):
    variant = Variant(None, "op.kernel", dtype, (), threads, dynamic)
    found = ptx.faults({variant: {"7.5": Build(**{**vars(CLEAN), **figures})}})
    assert all(fault.startswith(f"op.kernel, {dtype}, 7.5: ") for fault in found)
    return [fault.partition(": ")[2] for fault in found]


def test_a_clean_kernel_has_none():
    assert faults() == faults(dtype="float64", doubles=99) == faults(threads=1024, registers=64) == []
    assert faults(static=40 * 1024, dynamic=8 * 1024) == []


def test_each_fault_is_named():
    assert faults(doubles=2) == ["2 instructions in double precision"]
    assert faults(spilled=8) == ["8 bytes of registers spilled"]
    assert faults(dtype="float64", stack=8) == ["8 bytes of local memory a thread"]
    assert faults(threads=1056) == ["1056 threads a block, at most 1024"]
    assert faults(static=40 * 1024, dynamic=8 * 1024 + 4) == ["49156 bytes of shared memory a block, at most 49152"]
    assert faults(threads=1024, registers=65) == ["73728 registers a block, at most 65536"]
    # 563 times 109 is 61367; rounded up as in NVIDIA's header cuda_occupancy.h
    assert faults(threads=563, registers=109) == ["71680 registers a block, at most 65536"]
    assert len(faults(doubles=1, spilled=1, stack=1)) == 3


# ---- what is compiled -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "name"), [(np.float32, "float32"), (np.float64, "float64")])
def test_types_are_those_that_a_launch_on_a_gpu_passes(dtype, name):
    launches = paper_step.recorded([paper_step.training_step], dtype)
    variants = ptx.variants(launches, dtype)
    assert len(launches) == 35 and len(variants) == 21  # equal launches are compiled once
    by_name = {variant.name: variant for variant in variants}
    loss, update = by_name["softmax.loss_cuda"], by_name["nesterov.step_cuda"]
    assert loss.threads == softmax.THREADS and loss.dynamic == 0
    assert loss.types == ((name, 2), (name, 2), (name, 1), (name, 1), (name, 2))
    assert update.types[3:] == (("int32", 2), ("int32", 1), (name, 1), (name, 1), (name, 0))
    assert [ptx._type(number) for number in (3, np.int64(3), True)] == [("int32", 0)] * 3


@pytest.mark.parametrize(
    ("kernel", "types", "line", "instead"),
    [
        (softmax.loss_cuda, [2, 2, 1, 1, 2], "mass = z.dtype.type(0)", "mass = 0.0"),
        (softmax.loss_cuda, [2, 2, 1, 1, 2], "scale = w[b] / z.dtype.type(B)", "scale = w[b] / B"),
        (linear.forward_cuda, [2, 2, 1, 2], "total = b[k]", "total = b[k] / cuda.blockDim.x"),
        (linear.backward_cuda, [2, 2, 2, 2, 1, 2], "total = x.dtype.type(0)", "total = 0.1"),
        (norms.segments_cuda, [1, 1, 1], "total += sums[p]", "total += 2.5 * sums[p]"),
    ],
    ids=["0.0", "division by an integer", "blockDim", "0.1", "2.5"],
)
@needs_compilers
def test_float64_that_hides_in_a_float32_kernel_is_seen(kernel, types, line, instead):
    types = [("float32", dimensions) for dimensions in types]
    assert ptx.build(kernel, types, "7.5").doubles == 0
    planted = plant(kernel.py_func, {line: instead})
    assert ptx.build(planted, types, "7.5").doubles > 0 and ".f64" in ptx.to_ptx(planted, types, "12.0")


@cuda_jit
def hoards(x, y):
    """144 sums in float64, of two registers each; a thread has at most 255."""
    sums = cuda.local.array((12, 12), x.dtype)
    for i in range(12):
        for j in range(12):
            sums[i, j] = x.dtype.type(0)
    for k in range(0, x.shape[0], 24):
        for i in range(12):
            for j in range(12):
                sums[i, j] += x[k + i] * x[k + 12 + j]
    for i in range(12):
        for j in range(12):
            y[i * 12 + j] = sums[i, j]


@needs_compilers
def test_local_memory_and_spills_are_seen():
    build = ptx.build(hoards, [("float64", 1)] * 2, "7.5")
    assert build.stack > 0 and build.spilled > 0 and build.registers == 255


# ---- the command ----------------------------------------------------------------------------------------------------


def test_without_the_compilers_the_command_names_the_remedy(monkeypatch, capsys):
    monkeypatch.setattr(ptx, "WHEELS", ("numpy", "no-such-wheel"))
    assert main.main(["--ptx"]) == 1
    assert capsys.readouterr().err == (
        "error: --ptx needs the compilers, and no-such-wheel is not installed: pip install -e '.[ptx]'\n"
    )


def test_a_fault_is_reported_and_no_page_is_written(monkeypatch, capsys, tmp_path):
    variant = Variant(None, "op.kernel", "float32", (), 256, 0)
    builds = {variant: dict.fromkeys(ptx.CAPABILITIES, CLEAN)}
    monkeypatch.setattr(ptx, "build_all", lambda record: builds)
    monkeypatch.setattr(ptx, "compilers", lambda: "invented")
    page = tmp_path / "page.md"
    assert main.main(["--ptx", "--write", str(page)]) == 0
    assert page.read_text("utf-8") == kernels_page.text(builds)
    page.unlink()
    builds[variant]["7.5"] = Build(**{**vars(CLEAN), "spilled": 8})
    assert main.main(["--ptx", "--write", str(page)]) == 1
    out, err = capsys.readouterr()
    assert err == "error: op.kernel, float32, 7.5: 8 bytes of registers spilled\n"
    assert "1 kernels, 5 compilations, 1 faults\n" in out and not page.exists()
