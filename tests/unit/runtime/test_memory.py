import os
from pathlib import Path

import pytest

from tidemill.runtime.memory import (
    _limits,
    _peak_address_space,
    give_back,
    memory_limit_bytes,
    memory_words,
    peak_rss_bytes,
)

GIB = 2**30


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    return tmp_path / "groups"


def test_version_two_takes_the_limits_of_all_groups_around(tmp_path: Path, groups: Path) -> None:
    groups.write_text("0::/pods/one\n")
    write(
        tmp_path, pods__one__memory_dot_max="max\n", pods__memory_dot_max=f"{2 * GIB}\n", memory_dot_max=f"{8 * GIB}\n"
    )
    assert sorted(_limits(groups, tmp_path)) == [2 * GIB, 8 * GIB]


def test_version_one_names_its_controller(tmp_path: Path, groups: Path) -> None:
    groups.write_text("4:memory:/box\n3:cpuset:/\n0::/\n")
    write(
        tmp_path,
        memory__box__memory_dot_limit_in_bytes=f"{GIB}\n",
        memory__memory_dot_limit_in_bytes=f"{2**63 - 4096}\n",
    )
    assert list(_limits(groups, tmp_path)) == [GIB]


def test_hidden_groups_set_no_limit(tmp_path: Path, groups: Path) -> None:
    groups.write_text("0::/hidden\n")
    assert list(_limits(groups, tmp_path)) == []


def test_a_machine_without_groups_sets_none(tmp_path: Path) -> None:
    assert list(_limits(tmp_path / "nothing", tmp_path)) == []


def test_this_process_has_needed_less_than_it_may_have() -> None:
    assert 0 < peak_rss_bytes() < memory_limit_bytes()


def test_words_name_peak_and_limit() -> None:
    assert "of limit" in memory_words()


def test_the_address_space_is_read_where_the_kernel_tells_it() -> None:
    assert _peak_address_space("Name:\tpython\nVmPeak:\t  2048 kB\nVmSize:\t 1 kB\n") == 2048 * 1024


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells what is resident")
def test_memory_that_was_freed_goes_back_to_the_machine() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    small = [bytes(1_000) for _ in range(100_000)]  # 100 MB, each too small to have pages of its own
    last, before = bytes(1_000), resident()
    del small
    give_back()
    assert len(last) == 1_000
    assert resident() < before - 50e6
