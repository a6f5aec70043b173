"""Dropout: the published vectors of Philox 4x32-10, the statistics of the mask, and what the mask depends on."""

import numpy as np
import pytest

from scratchser.gradcheck import check, require
from scratchser.kernels import dropout

KEY = 0x299F31D0A4093822
ROWS = np.array([3, 0, 2**32 - 1, 3])


def mask(rows, D, key=KEY, p=0.3):
    return dropout.forward(np.ones((len(rows), D)), np.array(rows), key, p) > 0


def test_published_vectors():
    """Counter, key and words of kat_vectors of Random123, by the paper's authors."""
    for line in (
        "00000000 00000000 00000000 00000000 00000000 00000000 6627e8d5 e169c58d bc57ac4c 9b00dbd8",
        "ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff 408f276d 41c83b0e a20bc7c6 6d5451fd",
        "243f6a88 85a308d3 13198a2e 03707344 a4093822 299f31d0 d16cfe09 94fdcceb 5001e420 24126ea1",
    ):
        words = [int(word, 16) for word in line.split()]
        assert list(dropout.philox(*words[:6])) == words[6:]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [0, 0.3])
def test_an_element_takes_its_word_of_its_counter(dtype, p):
    x = np.random.default_rng(0).standard_normal((4, 11)).astype(dtype)
    y = dropout.forward(x, ROWS, KEY, p)
    assert y.dtype == dtype
    for b, row in enumerate(ROWS):
        for d in range(11):
            word = dropout.philox(d // 4, row, 0, 0, KEY % 2**32, KEY >> 32)[d % 4]
            assert y[b, d] == (0 if word < p * 2**32 else x[b, d] * dtype(1 / (1 - p)))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_statistics_of_the_mask(p):
    """Within five standard deviations: the share of zeros, and the correlation with the next element, row and key."""
    centred, other = ((mask(range(400), 1001, key, p) - (1 - p)) / np.sqrt(p * (1 - p)) for key in (KEY, KEY + 1))
    for product in (centred, centred[:, 1:] * centred[:, :-1], centred[1:] * centred[:-1], centred * other):
        assert abs(product.mean()) < 5 / np.sqrt(product.size)


def test_the_mask_depends_on_key_row_and_element_only(same_with_two_threads):
    same_with_two_threads(lambda: mask(range(50), 301))
    whole = mask(ROWS, 22)
    np.testing.assert_array_equal(mask(ROWS[2:3], 13), whole[2:3, :13])
    np.testing.assert_array_equal(whole[0], whole[3])
    for other in (mask(ROWS, 22, KEY + 1), mask(ROWS, 22, KEY + 2**32), mask(ROWS[[1, 2, 0, 1]], 22)):
        assert (other != whole).any(axis=1).all()


@pytest.mark.gradcheck
def test_gradients():
    given = ROWS, KEY, 0.4
    x = {"x": np.random.default_rng(1).standard_normal((4, 7))}
    require(check(lambda x: dropout.forward(x, *given), lambda dy, x: {"x": dropout.backward(dy, *given)}, x))


def test_what_it_refuses():
    given = {"x": np.ones((2, 3)), "rows": np.array([0, 1]), "key": 0, "p": 0.5}
    others = [{"p": 1.0}, {"p": np.nan}, {"key": -1}, {"key": 2**64}, {"x": np.ones(2)}, {"x": np.ones((3, 2)).T}]
    for other in [*others, *({"rows": np.array(rows)} for rows in ([0, -1], [0, 2**32], [0], [0.0, 1.0]))]:
        with pytest.raises(ValueError, match=r"expected|contiguous"):
            dropout.forward(**(given | other))
