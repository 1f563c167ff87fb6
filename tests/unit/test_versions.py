import re
from importlib import metadata
from pathlib import Path

import pytest

from tidemill import __version__
from tidemill.errors import IncompatibleVersions
from tidemill.versions import code_version, count_locked, drifted, environment, lock_digest, packages, refuse_drift

NUMPY = metadata.version("numpy")


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "requirements.txt"


def test_packages_are_named_once_and_in_order() -> None:
    names = [line.split("==")[0] for line in packages().splitlines()]
    assert names == sorted(set(names))


def test_the_digest_is_of_the_packages() -> None:
    assert len(lock_digest()) == 64


def test_a_checkout_without_git_does_not_say_which_commit_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEMILL_CODE_VERSION", raising=False)
    monkeypatch.setenv("PATH", "")
    assert code_version.__wrapped__() == f"{__version__}+unknown"


def test_an_installed_package_adds_a_digest_that_changes_with_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TIDEMILL_CODE_VERSION", raising=False)
    package = tmp_path / "lib" / "site-packages" / "tidemill"
    package.mkdir(parents=True)
    (package / "gate.py").write_text("MARGIN = 0.005", encoding="utf-8")
    monkeypatch.setattr("tidemill.versions.__file__", str(package / "versions.py"))
    first = code_version.__wrapped__()
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "gate.cpython-313.pyc").write_bytes(b"compiled")
    assert code_version.__wrapped__() == first
    (package / "gate.py").write_text("MARGIN = 0.5", encoding="utf-8")
    second = code_version.__wrapped__()
    assert first != second
    assert all(re.fullmatch(rf"{re.escape(__version__)}-[0-9a-f]{{12}}", item) for item in (first, second))


def test_the_environment_names_python_and_the_machine() -> None:
    assert {"python", "platform", "xgboost"} <= environment().keys()


@pytest.mark.parametrize(
    "line",
    [
        f"numpy=={NUMPY} \\",
        "# numpy==0.1",
        "    --hash=sha256:00",
        "numpy==0.1 ; python_version < '3'",
        "numpy>=0.1",
        "not a line",
    ],
)
def test_what_is_as_locked_or_not_locked_at_all_is_no_drift(lock: Path, line: str) -> None:
    lock.write_text(f"{line}\n", encoding="utf-8")
    assert drifted(lock) == ()


def test_another_version_is_named_with_both(lock: Path) -> None:
    lock.write_text("NumPy==0.1 \\\n    --hash=sha256:00\n", encoding="utf-8")
    assert drifted(lock) == (f"numpy is {NUMPY}, locked 0.1",)


def test_what_is_not_installed_is_counted_and_no_drift(lock: Path) -> None:
    lock.write_text(f"numpy=={NUMPY}\nthere-is-no-such-package==1.0\n", encoding="utf-8")
    assert (count_locked(lock), drifted(lock)) == ((2, 1), ())


def test_a_drifted_environment_is_refused(lock: Path) -> None:
    lock.write_text("numpy==0.1\n", encoding="utf-8")
    with pytest.raises(IncompatibleVersions, match=rf"numpy is {NUMPY}, locked 0\.1"):
        refuse_drift(lock)


def test_without_a_lock_nothing_is_refused(lock: Path) -> None:
    refuse_drift(lock)


def test_this_environment_is_that_of_the_lock() -> None:
    refuse_drift(Path(__file__).parents[2] / "requirements.txt")
