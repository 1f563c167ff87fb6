"""Training of trees on a Dask cluster: each worker trains on its share of the rows, which it reads from the storage.

Dask finds the workers and carries requests and results; XGBoost trains, and its workers sum their histograms after each
level. Rows pass neither through Dask nor through this process. A worker keeps its share on disk as bins, so that it need
not fit into memory.

Dask's messages are pickles, and any client of the scheduler can run code on every worker. The cluster therefore shares
its trust boundary with the Airflow workers, and belongs on a separate network or behind `tls://` (docs/deploy/dask.md).
The result is a booster in XGBoost's own format; no artifact is ever a pickle.
"""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dask
import distributed
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xgboost
from threadpoolctl import threadpool_limits
from xgboost.dask import CommunicatorContext

from tidemill.errors import ClusterUnavailable, IncompatibleVersions, SettingsError, TidemillError, first_line
from tidemill.modeling.calibration import newer_half
from tidemill.modeling.estimators import Boosting, Encoding, Labels, Page, Pieces, boost_on_disk
from tidemill.modeling.tasks import task_type
from tidemill.records import SplitRef
from tidemill.runtime.job import Job
from tidemill.runtime.memory import give_back
from tidemill.spec import ModelSpec
from tidemill.steps.data.features import keys_of, piece_rows, read_columns, target_values
from tidemill.storage.layout import PARTITION, TARGET
from tidemill.storage.scratch import scratch
from tidemill.storage.store import Store
from tidemill.storage.tables import read_batches, read_schema
from tidemill.versions import environment
from tidemill.workspace import Workspace

__all__ = ["VARIABLE", "address_of", "boost_on_cluster"]

VARIABLE = "TIDEMILL_DASK"
"""Address of the scheduler, ``tls://host:8786`` or ``tcp://host:8786``."""
CONNECT_S = 20.0
"""Seconds within which the scheduler has to answer."""
RESTART_S = 120.0
"""Seconds within which a worker has to return after a restart."""
_TURN = "tidemill-training"  # a lock that is free again 30 s after its holder was killed
_LOOK_S = 2.0  # between two checks that all workers are alive


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    """Instructions for one worker: its rows and the training settings."""

    task: str
    model: str
    split: SplitRef
    boosting: Boosting
    encoding: Encoding
    classes: tuple[Any, ...]
    train: range
    """Rows of the train set."""
    validation: range
    """Rows of the validation set."""
    newer_from: str | None
    """Key of the first partition that is not used for early stopping; None if all are."""
    environment: dict[str, str]
    """Package versions of the caller."""
    tracker: dict[str, Any]
    """Address of XGBoost's tracker."""


def address_of(spec: ModelSpec) -> str:
    """Return the scheduler's address.

    Raises
    ------
    SettingsError
        If none is set.
    """
    address = os.environ.get(VARIABLE, "")
    if re.fullmatch(r"(tcp|tls)://[^/?#@]+:\d{1,5}", address):
        return address
    said = f"{VARIABLE} is {address!r}" if address else f"{VARIABLE} is not set"
    raise SettingsError(
        f"train.engine of {spec.model!r} is dask, and {said}.",
        "Set it to the address of a Dask scheduler, such as tls://dask.example.com:8786, or choose another engine.",
    )


def boost_on_cluster(
    job: Job,
    split: SplitRef,
    boosting: Boosting,
    encoding: Encoding,
    labels: Labels,
    used: npt.NDArray[np.bool_],
) -> xgboost.Booster:
    """Grow trees on all workers of a cluster; the last four arguments are those of `Boost`.

    Raises
    ------
    ClusterUnavailable
        If it cannot be reached, has no worker, or loses one.
    IncompatibleVersions
        If a worker has other versions of what a model depends on.
    """
    stops, address = np.flatnonzero(used), address_of(job.spec)
    with _client(address) as client, distributed.Lock(_TURN):
        workers = _idle_workers(client, address)
        workers = workers[: min(len(labels.train), len(stops) or len(labels.train))]  # every worker gets a share
        with _tracker(address, len(workers)) as tracker:
            share = _Share(
                task=job.spec.task.value,
                model=job.spec.model,
                split=split,
                boosting=boosting,
                encoding=encoding,
                classes=labels.classes,
                train=range(0),
                validation=range(0),
                newer_from=_newer_from(job, split),
                environment=environment(),
                tracker=tracker,
            )
            futures = [
                client.submit(
                    _boost_share,
                    replace(share, train=train, validation=validation),
                    workers=[worker],
                    allow_other_workers=False,
                    pure=False,
                    retries=0,
                )
                for worker, train, validation in zip(
                    workers, _cut(np.arange(len(labels.train)), len(workers)), _cut(stops, len(workers)), strict=True
                )
            ]
            answers = _answers(client, address, workers, futures)
    booster = xgboost.Booster()
    booster.load_model(bytearray(next(filter(None, answers))))
    return booster


def _cut(rows: npt.NDArray[np.int64], n_shares: int) -> list[range]:
    """Return consecutive shares of nearly equal length."""
    return [
        range(int(part[0]), int(part[-1]) + 1) if len(part) else range(0) for part in np.array_split(rows, n_shares)
    ]


def _newer_from(job: Job, split: SplitRef) -> str | None:
    if job.spec.train.calibration == "none":
        return None
    path = job.store.folder(split.uri, split.digest) / "validation.parquet"
    blocks = keys_of(read_columns(path, [PARTITION])[PARTITION])
    if len(set(blocks)) == 1:  # one key cannot be divided, so all rows are used for early stopping
        return None
    newer: str = min(blocks[newer_half(blocks)])
    return newer


# ---------------------------------------------------------------- at a worker


def _boost_share(share: _Share) -> bytes:
    """Train on a share together with the other workers; only the first worker returns the trees."""
    _refuse_other_versions(share.environment)
    store = Store.of(Workspace.from_environment())
    folder = store.folder(share.split.uri, share.split.digest)
    train = _pages(share, folder / "train.parquet", share.train, None)
    validation = _pages(share, folder / "validation.parquet", share.validation, share.newer_from)
    with (
        threadpool_limits(limits=share.boosting.parameters["nthread"]),
        scratch(store.root / share.model / "bundles") as cache,
        CommunicatorContext(**share.tracker),
    ):
        booster = boost_on_disk(share.boosting, train, validation, cache)
        return bytes(booster.save_raw("ubj")) if xgboost.collective.get_rank() == 0 else b""


def _pages(share: _Share, path: Path, rows: range, newer_from: str | None) -> Callable[[], Iterator[Page]]:
    read, kind = partial(_read, path, rows), task_type(share.task)
    y = kind.encode(target_values(_column(read, path, TARGET)), share.classes)
    used = kind.known(y)
    if newer_from is not None:
        used &= keys_of(_column(read, path, PARTITION)) < newer_from
    give_back()  # otherwise memory freed after reading would add to that of the trees
    return partial(share.encoding.pages, Pieces(read=read, y=y), y, used)


def _column(read: Callable[[Sequence[str]], Iterator[pa.RecordBatch]], path: Path, name: str) -> pa.ChunkedArray:
    return pa.Table.from_batches(read([name]), pa.schema([read_schema(path).field(name)]))[name]


def _read(path: Path, rows: range, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    return read_batches(path, names, piece_rows(len(names)), rows.start, rows.stop)


def _refuse_other_versions(asked: dict[str, str]) -> None:
    here = environment()
    apart = [
        f"{name} is {here.get(name)}, asked by {version}"
        for name, version in asked.items()
        if here.get(name) != version
    ]
    if apart:
        raise IncompatibleVersions(
            f"A Dask worker on {socket.gethostname()} differs from the training process: {'; '.join(apart)}.",
            "Start the workers from the same image, or with the same lock.",
        )


# ---------------------------------------------------------------- the cluster


@contextmanager
def _client(address: str) -> Iterator[distributed.Client]:
    if urlsplit(address).scheme == "tls" and not dask.config.get("distributed.comm.tls.client.cert"):
        raise SettingsError(
            f"{VARIABLE} is {address}, and no certificate is named for the connection.",
            "Set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, …__TLS__CLIENT__CERT and …__TLS__CLIENT__KEY to files.",
        )
    try:
        client = distributed.Client(address, timeout=CONNECT_S)
    except (OSError, TimeoutError) as error:
        raise ClusterUnavailable(
            f"The Dask scheduler at {address} does not answer within {CONNECT_S:g} s.",
            f"Start it, or correct {VARIABLE}.",
        ) from error
    try:
        with client:
            yield client
    except (OSError, CancelledError) as error:  # errors from storage and workers are neither
        raise ClusterUnavailable(
            f"The Dask scheduler at {address} was lost during a training.",
            "Look at its log, and start it again.",
        ) from error


def _idle_workers(client: distributed.Client, address: str) -> list[str]:
    """Return the workers' addresses, after restarting those that are still busy with an abandoned training.

    XGBoost may wait forever for a peer that has ended, and a thread cannot be stopped from outside.
    """
    workers = sorted(client.nthreads())
    if not workers:
        raise ClusterUnavailable(f"The Dask cluster at {address} has no worker.", "Start some, and run it again.")
    busy = sorted(worker for worker, n_running in client.run(_n_running).items() if n_running)
    if not busy:
        return workers
    try:
        client.restart_workers(busy, timeout=RESTART_S)
        client.wait_for_workers(len(workers), timeout=RESTART_S)
    except (ValueError, TimeoutError) as error:  # there is no nanny, or it does not answer
        raise ClusterUnavailable(
            f"{', '.join(busy)} of the Dask cluster at {address} still works at a training that was given up.",
            "Restart this worker, and start it with a nanny: the nanny then restarts it.",
        ) from error
    return sorted(client.nthreads())


def _n_running(dask_worker: distributed.Worker) -> int:
    return len(dask_worker.state.executing)


@contextmanager
def _tracker(address: str, n_workers: int) -> Iterator[dict[str, Any]]:
    """Let XGBoost's workers find each other, at the address by which this machine reaches the scheduler.

    The tracker is a separate process, because it may crash with a signal when a worker is killed.
    """
    host, port = urlsplit(address).hostname, urlsplit(address).port
    family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as asked:
        asked.connect(place)  # sends nothing
        own = asked.getsockname()[0]
    command = [sys.executable, "-m", "tidemill.steps.train.dask_cluster.tracker", own, str(n_workers)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = process.stdout.readline()
        if not told:
            raise ClusterUnavailable(
                f"XGBoost's tracker for the Dask cluster at {address} ended with status {process.wait()}.",
                "Look at this task's log, and run it again.",
            )
        yield json.loads(told)
        # leaving this block closes the tracker's input, which ends it


def _answers(
    client: distributed.Client, address: str, workers: list[str], futures: list[distributed.Future]
) -> list[bytes]:
    """Wait for all workers; stop as soon as one fails or is lost, because the others would wait for it."""
    while True:
        with suppress(TimeoutError):
            distributed.wait(futures, timeout=_LOOK_S)
        failed = [future.exception() for future in futures if future.status == "error"]
        lost = set(workers) - set(client.nthreads())
        if failed or lost:
            client.cancel(futures, force=True)
            raise _meaning(address, failed, lost)
        if all(future.status == "finished" for future in futures):
            answers: list[bytes] = client.gather(futures)
            return answers


def _meaning(address: str, failed: list[BaseException], lost: set[str]) -> BaseException:
    """Return the error of a worker, or else an error about the lost worker."""
    told = next((error for error in failed if isinstance(error, TidemillError)), None)
    if told is not None:
        return told
    said = f"lost {', '.join(sorted(lost))}" if lost else f"failed: {first_line(failed[0])}"
    return ClusterUnavailable(
        f"A training on the Dask cluster at {address} {said}.",
        "Look at the workers' log: one that needs more memory than its limit is killed. Give them more, or more workers.",
    )
