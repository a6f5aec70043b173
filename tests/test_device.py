"""No GPU is pretended."""

import pytest

from scratchser.device import DeviceError, choose


def test_auto_says_what_it_chose_and_why():
    assert choose("auto", lambda: "it rains") == ("cpu", "device: cpu, chosen because it rains")


@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_cuda_fails_with_reason_and_remedy(name):
    with pytest.raises(DeviceError, match=r"no CUDA kernels yet.*--device cpu"):
        choose(name)


def test_unknown_names_are_answered():
    with pytest.raises(DeviceError, match="auto, cpu, cuda"):
        choose("gpu")
