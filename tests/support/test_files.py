"""Files survive a kill, a full disk and a flipped bit. What is read is to the bit what was written."""

import errno
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from process import python

from scratchser.support import files

# Saves epoch 1, then is killed at a chosen moment while it saves epoch 2
KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from scratchser.support import files

moment, path = sys.argv[1], Path(sys.argv[2])
save = lambda epoch: files.save_npz(path, {"w": np.full(50_000, float(epoch))}, {"epoch": epoch})
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)

class Half:
    def __init__(self, file): self.file = file
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def write(self, data):
        self.file.write(data[: len(data) // 2])
        self.file.flush()
        die()

save(1)
if moment == "half written":
    real_open = open
    files.open = lambda *arguments: Half(real_open(*arguments))
elif moment == "written":
    os.fsync = die
elif moment == "forced to the disk":
    os.replace = die
elif moment == "moved":
    real_replace = os.replace
    os.replace = lambda *names: (real_replace(*names), die())
save(2)
"""


@pytest.mark.parametrize(
    ("moment", "epoch"), [("half written", 1), ("written", 1), ("forced to the disk", 1), ("moved", 2)]
)
def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path, moment, epoch):
    path = tmp_path / "checkpoint.npz"
    python("-c", KILLED, moment, path, code=-signal.SIGKILL)
    arrays, meta = files.load_npz(path)
    assert meta == {"epoch": epoch}
    np.testing.assert_array_equal(arrays["w"], np.full(50_000, float(epoch)))
    files.remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["checkpoint.npz"]


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    files.write_json(path, {"epoch": 1})

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(files.StorageError, match=os.strerror(errno.ENOSPC)) as caught:
        files.write_json(path, {"epoch": 2})
    assert str(path) in str(caught.value) and "--resume" in str(caught.value) and "\n" not in str(caught.value)
    assert files.read_json(path) == {"epoch": 1}
    assert os.listdir(tmp_path) == ["result.json"]


def test_npz_keeps_every_bit(tmp_path):
    strange = np.array([np.nan, -0.0, np.inf, 1e-45], dtype=np.float32)
    strange.view(np.uint32)[0] |= 0x1234  # a NaN that carries something
    arrays = {
        "values": strange,
        "scalar": np.array(2**62),
        "a/b": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "empty": np.zeros((0, 3), np.int16),
    }
    meta = {"best": -np.inf, "loss": float("nan"), "state": 2**127 + 1, "name": "Ä\u2028", "t": (1, np.float32(0.1))}
    files.save_npz(tmp_path / "c.npz", arrays, meta)
    read, read_meta = files.load_npz(tmp_path / "c.npz")
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)
        assert read[name].tobytes() == array.tobytes()
    assert np.isnan(read_meta.pop("loss"))
    assert read_meta == {"best": -np.inf, "state": 2**127 + 1, "name": "Ä\u2028", "t": [1, float(np.float32(0.1))]}


def test_a_damaged_npz_is_never_believed(tmp_path):
    good, bad = tmp_path / "good.npz", tmp_path / "bad.npz"
    weights = np.arange(20, dtype=np.float32)
    files.save_npz(good, {"w": weights}, {"epoch": 7})
    data = good.read_bytes()
    refused = 0
    places = range(0, len(data), 3)
    for place in places:
        for damaged in (data[:place], data[:place] + bytes([data[place] ^ 0x21]) + data[place + 1 :]):
            bad.write_bytes(damaged)
            try:
                arrays, meta = files.load_npz(bad)
            except files.StorageError as error:
                assert str(bad) in str(error)
                refused += 1
            else:  # a bit without a meaning, such as the time of day of a member
                assert meta == {"epoch": 7} and list(arrays) == ["w"]
                assert arrays["w"].tobytes() == weights.tobytes()
    assert refused > 1.5 * len(places)


def test_a_header_that_asks_for_less_is_noticed(tmp_path):
    """NumPy would stop before the end of the member and never compare its checksum."""
    path = tmp_path / "a.npz"
    files.save_npz(path, {"w": np.arange(20)}, {})
    path.write_bytes(path.read_bytes().replace(b"(20,)", b"(10,)"))
    with pytest.raises(files.StorageError, match="it is damaged"):
        files.load_npz(path)


def test_no_pickle_is_read(tmp_path):
    meta = np.frombuffer(b"{}", np.uint8)
    np.savez(tmp_path / "evil.npz", w=np.array(object()), **{files.META: meta})
    with pytest.raises(files.StorageError, match="it is damaged"):
        files.load_npz(tmp_path / "evil.npz")


def test_json_is_strict_and_readable(tmp_path):
    value = {"ua": np.float32("nan"), "n": np.int64(3), "m": np.eye(2, dtype=int), "t": (1.5, -np.inf), "p": tmp_path}
    strange = {'"\u2028Ä': ["", {}, [], None], "": {"a": {}, "b": [[], {"c": True}]}}
    files.write_json(tmp_path / "a.json", value | strange)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    expected = {"ua": None, "n": 3, "m": [[1, 0], [0, 1]], "t": [1.5, None], "p": str(tmp_path)}
    assert json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON")) == expected | strange
    assert "\n    [1, 0],\n" in text


def test_json_lines_come_back(tmp_path):
    rows = [{}, {"": "a\nb\r\u2028", "b": ""}, {"Ä": [None, 1]}]
    files.write_json_lines(tmp_path / "rows.jsonl", rows)
    assert files.read_json_lines(tmp_path / "rows.jsonl") == rows
    assert (tmp_path / "rows.jsonl").read_bytes().count(b"\n") == 3


def test_a_file_name_that_is_no_text_is_written_and_read(tmp_path):
    """A byte that is not UTF-8 is a lone surrogate in Python."""
    files.write_json(tmp_path / "a.json", {"path": "l\udce4.wav"})
    assert files.read_json(tmp_path / "a.json") == {"path": "l\udce4.wav"}
    assert (tmp_path / "a.json").read_text(encoding="utf-8").count("\\udce4") == 1


def write(path):
    files.write_text(path, "")


@pytest.mark.parametrize("use", [files.exists, files.read_json, files.load_npz, write])
@pytest.mark.parametrize("path", ["a" * 300, "loop/a", "folder"])
def test_an_unusable_path_is_one_line(tmp_path, monkeypatch, path, use):
    monkeypatch.chdir(tmp_path)
    os.symlink("loop", "loop")
    os.mkdir("folder")
    if use is files.exists and path == "folder":
        assert files.exists(Path(path))
        return
    with pytest.raises(files.StorageError) as caught:
        use(Path(path))
    assert path in str(caught.value) and "\n" not in str(caught.value)


def test_broken_json_names_its_file(tmp_path):
    (tmp_path / "broken.json").write_text('{"half": ')
    with pytest.raises(files.StorageError, match=r"broken\.json"):
        files.read_json(tmp_path / "broken.json")
