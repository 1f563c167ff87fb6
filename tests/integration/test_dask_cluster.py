"""Training on a real Dask cluster of two workers: the figures of local training, and errors in words."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import dask
import distributed
import pytest

from tidemill.errors import ClusterUnavailable, IncompatibleVersions, SettingsError
from tidemill.machine.polling import until
from tidemill.records import BundleRef, SplitRef
from tidemill.steps.train.dask_cluster import boosting as on_cluster
from tidemill.steps.train.train import fit_bundle
from tidemill.storage.store import Store

from ..bench import cluster as bench
from ..bench import memory

N_ROWS, N_ROUNDS = 150_000, 60
MANY_ROUNDS = 1000  # more than a test waits for


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def split(storage: Path) -> SplitRef:
    return memory.write(Store(storage), N_ROWS)


@pytest.fixture(scope="module")
def address(storage: Path) -> Iterator[str]:
    # A lock is free again so soon after its holder was killed, and not after half a minute.
    with pytest.MonkeyPatch.context() as patch, dask.config.set({"distributed.scheduler.locks.lease-timeout": "5s"}):
        patch.setenv("DASK_DISTRIBUTED__SCHEDULER__LOCKS__LEASE_VALIDATION_INTERVAL", "1s")
        with bench.cluster(storage, n_workers=2) as found:
            yield found


@pytest.fixture(scope="module")
def trained(storage: Path, split: SplitRef, address: str) -> BundleRef:
    return bench.fit_on(address, storage, split, N_ROUNDS)


def left_overs(storage: Path) -> set[Path]:
    return set((storage / "bench_memory" / "bundles").glob(".writing-*"))


def test_on_two_workers_test_auc_is_that_of_local_training(storage: Path, split: SplitRef, trained: BundleRef) -> None:
    local = fit_bundle(memory.job(storage, "local"), split, "xgboost", {"n_rounds": N_ROUNDS})
    here, there = (bench.auc_on_test(storage, split, ref) for ref in (local, trained))
    assert there == pytest.approx(here, abs=0.002)


def test_workers_keep_within_their_limit_and_leave_nothing_on_disk(
    storage: Path, trained: BundleRef, address: str
) -> None:
    peaks = bench.peaks(address)
    assert len(peaks) == 2
    assert max(peaks) < bench.LIMIT_MB * 2**20
    assert left_overs(storage) == set()


def test_a_worker_with_other_versions_is_refused_by_name(
    storage: Path, split: SplitRef, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_cluster, "environment", lambda: {"xgboost": "1.0"})
    with pytest.raises(IncompatibleVersions, match=r"A Dask worker on .*: xgboost is .*, asked by 1\.0"):
        bench.fit_on(address, storage, split, N_ROUNDS)


def test_without_an_address_the_error_names_what_to_set(
    storage: Path, split: SplitRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TIDEMILL_DASK", raising=False)
    with pytest.raises(SettingsError, match=r"train\.engine of 'bench_memory' is dask, and TIDEMILL_DASK is not set"):
        fit_bundle(memory.job(storage, "dask"), split, "xgboost", {})


def test_an_encrypted_address_without_a_certificate_is_refused_with_a_message(storage: Path, split: SplitRef) -> None:
    with pytest.raises(SettingsError, match="no certificate is named"):
        bench.fit_on("tls://127.0.0.1:1", storage, split)


def test_a_scheduler_that_does_not_answer_is_worth_another_attempt(
    storage: Path, split: SplitRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_cluster, "CONNECT_S", 2.0)
    with pytest.raises(ClusterUnavailable, match=r"The Dask scheduler at tcp://127\.0\.0\.1:1 does not answer"):
        bench.fit_on("tcp://127.0.0.1:1", storage, split)


def test_a_training_that_was_killed_keeps_nobody_waiting(storage: Path, split: SplitRef, address: str) -> None:
    victim = multiprocessing.get_context("spawn").Process(target=bench.fit_on, args=(address, storage, split, N_ROUNDS))
    before = left_overs(storage)
    victim.start()
    assert until(lambda: len(left_overs(storage) - before) == 2, 300)  # both workers are at it
    victim.kill()
    victim.join()
    assert bench.fit_on(address, storage, split, 5).digest


def test_a_worker_still_at_a_training_that_was_given_up_is_restarted(
    storage: Path, split: SplitRef, address: str, tmp_path: Path
) -> None:
    stop = tmp_path / "stop"
    with distributed.Client(address, set_as_default=False) as client:
        pids = set(client.run(os.getpid).values())
        stuck = client.submit(until, stop.exists, 600, workers=[min(client.nthreads())], pure=False)
        assert until(lambda: any(client.processing().values()), 60)
        stuck.release()
        assert bench.fit_on(address, storage, split, 5).digest
        assert len(pids & set(client.run(os.getpid).values())) == 1


def test_a_worker_that_is_killed_ends_the_training_for_all(storage: Path, split: SplitRef, address: str) -> None:
    with distributed.Client(address, set_as_default=False) as client:
        victim = min(client.run(os.getpid).values())
    before = left_overs(storage)

    def kill() -> None:
        if until(lambda: len(left_overs(storage) - before) == 2, 300):  # both are at work
            os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(ClusterUnavailable, match=r"A training on the Dask cluster at .* (lost|failed)"):
        bench.fit_on(address, storage, split, MANY_ROUNDS)
    killer.join()
