"""How kernels are compiled must not show in their results."""

import shutil
from pathlib import Path

import pytest
from process import python

from scratchser.kernels import norms
from scratchser.kernels.machine import compile

DIGEST = Path(__file__).parents[2] / "helpers" / "digest.py"


def test_an_edit_renews_the_cache_of_the_files_that_import_it_and_no_other(tmp_path):
    shutil.copytree(Path(compile.__file__).parents[1], tmp_path / "kernels")
    names = ["matmul", "conv2d", "vtlp"]

    def folders():
        compile._cache_folder.cache_clear()
        return [compile._cache_folder(str(tmp_path / "kernels" / f"{name}.py")) for name in names]

    before = folders()
    with (tmp_path / "kernels" / "matmul.py").open("a") as file:
        file.write("# edited\n")
    assert [old == new for old, new in zip(before, folders(), strict=True)] == [False, False, True]


def test_cuda_kernels_are_cached_in_the_same_folder_whoever_compiles_them():
    """numba-cuda has a configuration in its files too; here it has to read Numba's."""
    if not hasattr(norms.chunks_cuda, "stats"):
        pytest.skip("no CUDA target here that could cache")
    folder = compile._cache_folder(norms.__file__)
    for kernel in (norms.chunks_cuda, norms.squares_cpu):
        assert Path(kernel.stats.cache_path).parent == Path(folder)


@pytest.mark.slow
def test_same_bits_compiled_here_and_loaded_from_the_cache(tmp_path):
    """With contraction allowed, f c + i g was fused one way in the first process and the other way in the next."""
    runs = [python(DIGEST, NUMBA_CACHE_DIR=str(tmp_path)).stdout.splitlines() for _ in range(2)]
    (first, cached_first), (second, cached_second) = runs
    assert (cached_first, cached_second) == ("0", "1")
    assert first == second
