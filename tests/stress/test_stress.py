"""Short versions of the stress campaigns; docs/verification.md has the figures of the long ones."""

import disk
import fuzz
import kills
import pytest


def test_killed_runs_resume_to_the_same_bits(tmp_path):
    assert kills.campaign(tmp_path, moments=1, seed=1).total() > 0


def test_mutated_files_are_read_or_refused(tmp_path):
    counts = fuzz.campaign(tmp_path, inputs=1500, seed=1)
    for found in counts.values():
        assert found["read"] and found["problems"] + found["refused"] > 100, found


@pytest.mark.slow  # test_files.py and test_fold.py have an error and a kill at each write
def test_a_full_disk_ends_with_one_line(tmp_path):
    assert disk.campaign(tmp_path, limits=1, seed=1).total() > 0


def test_a_read_only_folder_ends_with_one_line(tmp_path):
    assert "locked" in as_nobody(disk.read_only, tmp_path)


@pytest.mark.slow  # compiles everything
def test_a_user_without_a_home_can_train(tmp_path):
    done = as_nobody(disk.without_home, tmp_path)
    assert done.returncode == 0 and "the compile cache" in done.stderr, done.stderr


def as_nobody(function, folder):
    try:
        return function(folder)
    except PermissionError:
        pytest.skip("another user cannot run this Python")
