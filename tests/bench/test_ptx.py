"""Kernels compiled without a GPU: faults are seen in the output of ptxas, and in kernels with planted faults."""

import numpy as np
import pytest
from planted import plant

from scratchser.bench import __main__ as main
from scratchser.bench.cuda import kernels_page, paper_step, ptx
from scratchser.bench.cuda.ptx import Build, PtxError, Variant
from scratchser.kernels import linear, norms, softmax
from scratchser.kernels.machine.compile import cuda, cuda_jit

CLEAN = Build(registers=32, static=0, stack=0, spilled=0, doubles=0)


def missing() -> str:
    """Why nothing can be compiled here; empty if the compilers are installed."""
    try:
        ptx.compilers()
    except PtxError as error:
        return str(error)
    return ""


needs_compilers = pytest.mark.skipif(bool(missing()), reason=missing())

# ---- the output of ptxas --------------------------------------------------------------------------------------------

OUTPUT = """
ptxas info    : 8 bytes gmem, 8 bytes cmem[4]
ptxas info    : Compiling entry function '_ZN5norms11pieces_cuda' for 'sm_75'
ptxas info    : Function properties for _ZN5norms11pieces_cuda
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 22 registers, used 1 barriers, 1024 bytes smem, 464 bytes cmem[0]
"""
SPILLED = """
ptxas warning : Local memory used for function 'f', size of stack frame: 232 bytes
ptxas warning : Registers are spilled to local memory in function 'f', 308 bytes spill stores, 560 bytes spill loads
ptxas info    : Function properties for f
    232 bytes stack frame, 308 bytes spill stores, 560 bytes spill loads
ptxas info    : Used 40 registers, used 0 barriers, 232 bytes cumulative stack size, 468 bytes cmem[0]
"""
DOUBLES = "ptxas kernel.ptx, line 57; warning : Program is doing double precision computations.\n" * 3


def test_figures_are_read():
    build = ptx.read(OUTPUT)
    assert (build.registers, build.static, build.stack, build.spilled, build.doubles) == (22, 1024, 0, 0, 0)
    build = ptx.read(DOUBLES + SPILLED)
    assert (build.registers, build.static, build.stack, build.spilled, build.doubles) == (40, 0, 232, 868, 3)


def test_a_missing_figure_is_not_zero():
    for output in (OUTPUT.replace("Used", "Needs"), OUTPUT.replace("spill stores", "stores")):
        with pytest.raises(PtxError, match="did not report registers and stack"):
            ptx.read(output)


# ---- what is a fault ------------------------------------------------------------------------------------------------


def faults(dtype="float32", threads=256, dynamic=0, **figures):
    variant = Variant(None, "op.kernel", dtype, (), threads, dynamic)
    found = ptx.faults(variant, Build(**{**vars(CLEAN), **figures}), "7.5")
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
    assert len(faults(doubles=1, spilled=1, stack=1)) == 3


@pytest.mark.parametrize(
    ("threads", "registers", "reserved"),
    [
        (431, 241, 126976),
        (563, 109, 71680),  # 61367 registers, before warps and registers are rounded up
        (299, 205, 79872),
    ],
)
def test_registers_are_rounded_up_as_in_nvidias_header(threads, registers, reserved):
    assert ptx.block_registers(threads, registers) == reserved
    assert faults(threads=threads, registers=registers) == [f"{reserved} registers a block, at most 65536"]


# ---- what is compiled -----------------------------------------------------------------------------------------------


def by_name(dtype):
    """The variants of the loss and of the update in a training step."""
    launches = paper_step.recorded((paper_step.training_step,), dtype)
    variants = {variant.name: variant for variant in ptx.variants(launches, dtype)}
    return variants["softmax.loss_cuda"], variants["nesterov.step_cuda"]


def test_types_are_those_that_a_launch_on_a_gpu_passes():
    loss, _ = by_name(np.float32)
    assert loss.threads == softmax.THREADS and loss.dynamic == 0
    assert loss.types == (("float32", 2), ("float32", 2), ("float32", 1), ("float32", 1), ("float32", 2))
    _, update = by_name(np.float64)
    assert update.types[3:] == (("int32", 2), ("int32", 1), ("float64", 1), ("float64", 1), ("float64", 0))
    assert [ptx._type(number) for number in (3, np.int64(3), True)] == [("int32", 0)] * 3


def test_equal_launches_are_compiled_once():
    launches = paper_step.recorded((paper_step.pooling, paper_step.pooling))
    names = [variant.name for variant in ptx.variants(launches, np.float32)]
    assert names == ["pool.forward_cuda", "pool.backward_cuda"]


@pytest.mark.parametrize("capability", ["7.5", "12.0"])
@pytest.mark.parametrize(
    ("kernel", "types", "lines"),
    [
        (softmax.loss_cuda, [2, 2, 1, 1, 2], {"mass = z.dtype.type(0)": "mass = 0.0"}),
        (softmax.loss_cuda, [2, 2, 1, 1, 2], {"scale = w[b] / z.dtype.type(B)": "scale = w[b] / B"}),
        (linear.forward_cuda, [2, 2, 1, 2], {"total = b[k]": "total = b[k] / cuda.blockDim.x"}),
        (linear.backward_cuda, [2, 2, 2, 2, 1, 2], {"total = x.dtype.type(0)": "total = 0.1"}),
        (norms.segments_cuda, [1, 1, 1], {"total += sums[p]": "total += 2.5 * sums[p]"}),
    ],
    ids=["0.0", "division by an integer", "blockDim", "0.1", "2.5"],
)
@needs_compilers
def test_float64_that_hides_in_a_float32_kernel_is_seen(kernel, types, lines, capability):
    def doubles(kernel):
        return ptx.build(kernel, [("float32", dimensions) for dimensions in types], capability).doubles

    assert doubles(kernel) == 0
    planted = plant(kernel.py_func, lines)
    text = ptx.to_ptx(planted, [("float32", dimensions) for dimensions in types], capability)
    assert doubles(planted) > 0 and ".f64" in text


@cuda_jit
def scatters(x, y):
    """An array with an index that the compiler does not know."""
    part = cuda.local.array(16, x.dtype)
    for i in range(16):
        part[i] = x[i]
    for i in range(x.shape[0]):
        part[i % 16] += x[i]
    for i in range(16):
        y[i] = part[i]


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
    build = ptx.build(scatters, [("float32", 1)] * 2, "7.5")
    assert build.stack == 64 and build.spilled == 0
    build = ptx.build(hoards, [("float64", 1)] * 2, "7.5")
    assert build.spilled > 0 and build.registers == 255


@needs_compilers
def test_a_kernel_that_does_not_compile_is_named():
    planted = plant(linear.forward_cuda.py_func, {"total = b[k]": "total = b[k].real_part"})
    with pytest.raises(PtxError, match=r"(?s)Numba does not compile forward_cuda for 7\.5: .*real_part"):
        ptx.build(planted, [("float32", n) for n in (2, 2, 1, 2)], "7.5")


@needs_compilers
def test_numba_is_left_as_it_was():
    from numba.cuda import dispatcher

    before = dispatcher.get_current_device
    ptx.build(softmax.forward_cuda, [("float32", 2)] * 2, "9.0")
    assert dispatcher.get_current_device is before


# ---- the command ----------------------------------------------------------------------------------------------------


def test_without_the_compilers_the_command_names_the_remedy(monkeypatch, capsys):
    monkeypatch.setattr(ptx, "WHEELS", ("numpy", "no-such-wheel"))
    assert main.main(["--ptx"]) == 1
    assert capsys.readouterr().err == (
        "error: --ptx needs the compilers, and no-such-wheel is not installed: pip install -e '.[ptx]'\n"
    )


def test_a_fault_is_reported_and_no_page_is_written(monkeypatch, capsys, tmp_path):
    builds = [{capability: CLEAN for capability in ptx.CAPABILITIES} for _ in kernels_page.variants()]
    builds[0]["7.5"] = Build(**{**vars(CLEAN), "spilled": 8})
    monkeypatch.setattr(ptx, "build_all", lambda record: builds)
    monkeypatch.setattr(ptx, "compilers", lambda: "invented")
    name = kernels_page.variants()[0].name
    assert main.main(["--ptx", "--write", str(tmp_path / "page.md")]) == 1
    out, err = capsys.readouterr()
    assert err == f"error: {name}, float32, 7.5: 8 bytes of registers spilled\n"
    assert f"{len({v.name for v in kernels_page.variants()})} kernels, {len(builds) * 5} compilations, 1 fault\n" in out
    assert list(tmp_path.iterdir()) == []
    builds[0]["7.5"] = CLEAN
    assert main.main(["--ptx", "--write", str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text("utf-8") == kernels_page.text(builds)
