"""Where arrays live, and how CUDA kernels are launched on them.

    device       its arrays       its kernels
    CPU          numpy.ndarray    are called
    GPU          cupy.ndarray     are launched by Numba, on the stream that CuPy copies on
    SIMULATED    Simulated        are run by Numba's simulator or by the tracer: CPU memory that stands in for a GPU's

An entry point finds the device of its array, `device = device_of(x)`, and uses `device.empty(...)`,
`device.resident(...)` and `launch(...)`. Arrays that shape a launch, such as the lengths of a batch, are always
NumPy's: the entry points read them, and kernels get a copy.

This is the only file that uses CuPy, for memory, copies and one stream. CuPy computes nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any, Protocol

import numpy as np
from numba import config

from scratchser.kernels.machine.compile import cuda

Array = Any  # numpy.ndarray, Simulated or cupy.ndarray
Shape = int | tuple[int, ...]


class Device(Protocol):
    """Memory of one kind. Arrays are C-contiguous. `download` waits for everything that was launched before."""

    name: str

    def empty(self, shape: Shape, dtype: Any) -> Array:
        """A new array with arbitrary elements."""
        ...

    def zeros(self, shape: Shape, dtype: Any) -> Array:
        """A new array of zeros."""
        ...

    def upload(self, host: np.ndarray) -> Array:
        """A copy of a NumPy array on this device."""
        ...

    def download(self, array: Array) -> np.ndarray:
        """A copy of an array of this device as a NumPy array."""
        ...

    def copy(self, source: Array, target: Array) -> None:
        """Copy an array of this device or NumPy's, of target's shape and dtype."""
        ...

    def resident(self, host: np.ndarray) -> Array:
        """A copy of a small array that kernels only read. It is cached, so lengths are copied once per batch."""
        ...


class _Cpu:
    name = "cpu"

    def empty(self, shape: Shape, dtype: Any) -> np.ndarray:
        return np.empty(shape, dtype)

    def zeros(self, shape: Shape, dtype: Any) -> np.ndarray:
        return np.zeros(shape, dtype)

    def upload(self, host: np.ndarray) -> np.ndarray:
        return np.array(host)

    def download(self, array: np.ndarray) -> np.ndarray:
        return np.array(array)

    def copy(self, source: np.ndarray, target: np.ndarray) -> None:
        target[...] = source

    def resident(self, host: np.ndarray) -> np.ndarray:
        return host


class Simulated(np.ndarray):
    """CPU memory that is treated like a GPU's: only kernels and copies access it."""


class _Simulated:
    name = "simulated"

    def empty(self, shape: Shape, dtype: Any) -> Simulated:
        return np.empty(shape, dtype).view(Simulated)

    def zeros(self, shape: Shape, dtype: Any) -> Simulated:
        return np.zeros(shape, dtype).view(Simulated)

    def upload(self, host: np.ndarray) -> Simulated:
        return np.array(host, order="C").view(Simulated)

    def download(self, array: Simulated) -> np.ndarray:
        return np.array(array.view(np.ndarray))

    def copy(self, source: Simulated, target: Simulated) -> None:
        target[...] = source

    def resident(self, host: np.ndarray) -> Simulated:
        return self.upload(host)


class OutOfDeviceMemory(MemoryError):
    """A GPU has not enough free memory for an array."""


class _Gpu:
    def __init__(self, number: int) -> None:
        import cupy

        self.name, self.number, self.cupy = f"cuda:{number}", number, cupy
        config.CUDA_LOW_OCCUPANCY_WARNINGS = 0  # small batches do not fill a GPU
        cupy.cuda.Device(number).use()
        cuda.select_device(number)
        self.stream = cupy.cuda.Stream(non_blocking=True)
        self.stream.use()
        self.numba_stream = cuda.external_stream(self.stream.ptr)
        self._upload_cached = lru_cache(maxsize=256)(self._upload_bytes)

    def empty(self, shape: Shape, dtype: Any) -> Array:
        try:
            return self.cupy.empty(shape, dtype)
        except self.cupy.cuda.memory.OutOfMemoryError as error:
            free, total = (bytes / 2**30 for bytes in self.cupy.cuda.runtime.memGetInfo())
            size = np.prod(shape) * np.dtype(dtype).itemsize / 2**30
            text = f"an array of {size:.2f} GiB does not fit on the GPU: {free:.1f} of its {total:.1f} GiB are free"
            raise OutOfDeviceMemory(text) from error

    def zeros(self, shape: Shape, dtype: Any) -> Array:
        array = self.empty(shape, dtype)
        if array.nbytes:
            array.data.memset_async(0, array.nbytes, self.stream)  # by the driver, so CuPy compiles no kernel
        return array

    def upload(self, host: np.ndarray) -> Array:
        array = self.empty(host.shape, host.dtype)
        array.set(np.ascontiguousarray(host), self.stream)
        return array

    def download(self, array: Array) -> np.ndarray:
        return array.get(self.stream)  # waits for the stream (CuPy 14)

    def copy(self, source: Array, target: Array) -> None:
        if source.shape != target.shape or source.dtype != target.dtype:
            raise ValueError(f"{source.dtype} {source.shape} cannot be copied to {target.dtype} {target.shape}")
        if isinstance(source, np.ndarray):
            target.set(np.ascontiguousarray(source), self.stream)
        else:
            target.data.copy_from_device_async(source.data, source.nbytes, self.stream)

    def resident(self, host: np.ndarray) -> Array:
        return self._upload_cached(host.tobytes(), host.shape, host.dtype.str)

    def _upload_bytes(self, content: bytes, shape: tuple[int, ...], dtype: str) -> Array:
        return self.upload(np.frombuffer(content, dtype).reshape(shape))


CPU: Device = _Cpu()
SIMULATED: Device = _Simulated()


@cache
def gpu(number: int) -> Device:
    """The GPU of this number; scratchser.support.gpu reports why one cannot be used.

    There is one object for each: a second one would have its own stream, and its copies would not wait for the kernels
    of the first.
    """
    return _Gpu(number)


def device_of(array: Array) -> Device:
    """Where an array lives."""
    if isinstance(array, Simulated):
        return SIMULATED
    return CPU if isinstance(array, np.ndarray) else gpu(array.device.id)


def on_cpu(array: Array) -> bool:
    """True if the array is one of NumPy."""
    return device_of(array) is CPU


# ---- launches -------------------------------------------------------------------------------------------------------

Launcher = Callable[[Any, Any, Any, int, tuple], None]  # kernel, grid, block, bytes of shared memory, arguments


def launch(kernel: Any, grid: Shape, block: Shape, *arguments: Any, shared_bytes: int = 0) -> None:
    """kernel[grid, block](*arguments), on the stream of the arrays' GPU.

    arguments      arrays of one GPU, integers (int32 in the kernel), NumPy scalars for anything else
    shared_bytes   dynamic shared memory, which the kernel gets by `cuda.shared.array(0, ...)`

    Raises TypeError for an array of the CPU, which Numba would silently copy there and back, and for a Python float,
    which would make the kernel compute in float64.
    """
    for argument in arguments:
        if isinstance(argument, np.ndarray) and not isinstance(argument, Simulated):
            raise TypeError(f"{kernel.__name__} got an array {argument.shape} that lives on the CPU")
        if isinstance(argument, float) and not isinstance(argument, np.floating):
            raise TypeError(f"{kernel.__name__} got a Python float: pass a scalar of the arrays' dtype")
    if np.prod(grid) > 0:  # nothing to do for an empty batch, and a GPU rejects such a grid
        _launchers[-1](kernel, grid, block, shared_bytes, arguments)


def launch_by_numba(kernel: Any, grid: Shape, block: Shape, shared_bytes: int, arguments: tuple) -> None:
    """The launcher that `launch` uses: numba.cuda, on a GPU or in the simulator."""
    array = next(argument for argument in arguments if hasattr(argument, "shape") and argument.shape)
    if isinstance(array, Simulated):
        kernel[grid, block, 0, shared_bytes](*map(plain, arguments))
    else:
        device: Any = device_of(array)
        kernel[grid, block, device.numba_stream, shared_bytes](*map(for_gpu, arguments))


def plain(argument: Any) -> Any:
    """A Simulated array as a NumPy array of the same memory; anything else unchanged."""
    return argument.view(np.ndarray) if isinstance(argument, Simulated) else argument


def for_gpu(argument: Any) -> Any:
    """Convert an argument for a launch by Numba."""
    if isinstance(argument, int | np.integer):
        return np.int32(argument)
    if isinstance(argument, np.generic):
        return argument
    return _view(argument.data.ptr, argument.shape, argument.dtype.str)


@lru_cache(maxsize=4096)
def _view(pointer: int, shape: tuple[int, ...], dtype: str) -> Any:
    """Numba's view of an array at an address.

    It is cached, since making one takes the host 15 µs, and a training step has 200. It owns no memory, so the memory
    at the address may be freed and reused.
    """
    described = {"data": (pointer, False), "shape": shape, "typestr": dtype, "strides": None, "version": 3}
    return cuda.from_cuda_array_interface(described, sync=False)  # else numba waits for the stream at every launch


_launchers: list[Launcher] = [launch_by_numba]


@contextmanager
def launched_by(launcher: Launcher) -> Iterator[None]:
    """Context in which this function launches the kernels: the tracer, or one that records launches."""
    _launchers.append(launcher)
    try:
        yield
    finally:
        _launchers.pop()


def blocks(items: int, size: int) -> int:
    """Number of blocks for so many items, `size` items each."""
    return -(-items // size)
