"""Where arrays live, and what a launch accepts."""

from types import SimpleNamespace

import numpy as np
import pytest

from scratchser.kernels import nesterov, softmax
from scratchser.kernels.machine import device
from scratchser.kernels.machine.device import CPU, SIMULATED, OutOfDeviceMemory, device_of, launch


@pytest.mark.parametrize("target", [CPU, SIMULATED], ids=lambda target: target.name)
def test_copies_come_back_and_are_copies(target):
    host = np.arange(6.0).reshape(2, 3)
    array = target.upload(host)
    assert device_of(array) is target and device_of(array[1:].reshape(3)) is target
    host[0, 0] = 9
    assert target.download(array)[0, 0] == 0
    other = target.zeros((2, 3), np.float64)
    target.copy(array, other)
    target.copy(host, array)
    assert target.download(other)[0, 0] == 0 and target.download(array)[0, 0] == 9
    assert target.empty(4, np.float32).shape == (4,) and type(target.download(array)) is np.ndarray


def test_an_array_of_the_cpu_is_not_copied_to_a_kernel_silently():
    z, p = SIMULATED.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32)
    with pytest.raises(TypeError, match=r"forward_cuda got an array \(2, 2\) that lives on the CPU"):
        launch(softmax.forward_cuda, 1, 32, z, p)


def test_a_python_float_would_be_float64():
    arrays = [SIMULATED.zeros(3, np.float32) for _ in range(6)]
    with pytest.raises(TypeError, match="step_cuda got a Python float"):
        launch(nesterov.step_cuda, 1, 32, *arrays, 0.9)


def test_a_full_gpu_reports_its_memory():
    class OutOfMemoryError(MemoryError):
        pass

    def empty(shape, dtype):
        raise OutOfMemoryError

    card = object.__new__(device._Gpu)
    runtime = SimpleNamespace(memGetInfo=lambda: (3 * 2**29, 2**34))
    memory = SimpleNamespace(OutOfMemoryError=OutOfMemoryError)
    card.cupy = SimpleNamespace(empty=empty, cuda=SimpleNamespace(memory=memory, runtime=runtime))
    with pytest.raises(OutOfDeviceMemory, match=r"4\.00 GiB does not fit on the GPU: 1\.5 of its 16\.0 GiB are free"):
        card.empty((2**10, 2**20), np.float32)


def test_what_a_gpu_s_launch_gets(monkeypatch):
    """Integers are int32, and Numba's view of an address is made once and owns no memory."""
    made = []

    def view(described, sync):
        made.append(described)
        return object()

    monkeypatch.setattr(device.cuda, "from_cuda_array_interface", view)
    device._view.cache_clear()

    def array(pointer, shape):
        return SimpleNamespace(data=SimpleNamespace(ptr=pointer), shape=shape, dtype=np.dtype(np.float32))

    first = device.for_gpu(array(4096, (2, 3)))
    assert device.for_gpu(array(4096, (2, 3))) is first and device.for_gpu(array(4096, (6,))) is not first
    assert made[0] == {"data": (4096, False), "shape": (2, 3), "typestr": "<f4", "strides": None, "version": 3}
    assert len(made) == 2
    for number in (7, np.int64(7), True):
        assert type(device.for_gpu(number)) is np.int32
    assert type(device.for_gpu(np.float32(7))) is np.float32
    device._view.cache_clear()
