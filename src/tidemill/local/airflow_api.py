"""A small client of Airflow's public REST API: trigger a run, start a backfill, wait for its end."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from tidemill.errors import StackError

__all__ = ["AirflowApi", "RunState"]

POLL_S = 2.0  # seconds; Airflow sends no event when a run ends, and its scheduler checks about once a second
FINAL = ("success", "failed")
TIMEOUT_S = 30.0  # seconds for one answer
READS = 4  # attempts to read, because a busy server may take longer than that


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """One DAG run."""

    dag_id: str
    run_id: str
    partition_key: str | None
    """Its partition; None if it has none."""
    state: str
    """``queued``, ``running``, ``success`` or ``failed``."""


class AirflowApi:
    """A session with one Airflow, which logs in at its first request.

    Parameters
    ----------
    url : str
        Address of the UI, such as ``http://127.0.0.1:8080``.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url, self._login = url, {"username": user, "password": password}
        self._headers: dict[str, str] = {}

    def wait_for_dags(self, dag_ids: Sequence[str]) -> None:
        """Wait until the DAG processor has read the files.

        Raises
        ------
        StackError
            If a DAG does not appear; the message contains Airflow's import errors.
        """
        deadline = time.monotonic() + 120  # seconds
        while missing := [dag_id for dag_id in dag_ids if self.request("GET", f"dags/{dag_id}", ok=(200, 404)) is None]:
            if time.monotonic() > deadline:
                errors = self._get("importErrors")["import_errors"]
                found = "\n".join(f"{item['filename']}: {item['stack_trace'][-2000:]}" for item in errors)
                raise StackError(
                    f"Airflow has no DAG {', '.join(missing)}:\n{found or 'no import errors'}",
                    "Check the log of the dag-processor.",
                )
            time.sleep(POLL_S)

    def trigger(self, dag_id: str, run_id: str, partition: str | None, conf: dict[str, Any] | None = None) -> None:
        """Trigger a run for a partition; if a run with this id exists, retry it only if it has failed.

        Parameters
        ----------
        dag_id, run_id : str
            Ids of the DAG and of the run.
        partition : str or None
            Partition key; None if ``conf`` names the partition.
        conf : dict, optional
            Parameters, as the UI's trigger form sends them.
        """
        body = {"dag_run_id": run_id, "logical_date": None, "partition_key": partition, "conf": conf or {}}
        created = self.request("POST", f"dags/{dag_id}/dagRuns", json=body, ok=(200, 201, 409))
        if created is None and self._state(dag_id, run_id) == "failed":
            self.retry(dag_id, run_id)

    def retry(self, dag_id: str, run_id: str) -> None:
        """Clear the failed tasks of a run, so that the scheduler runs them again."""
        self.request("POST", f"dags/{dag_id}/dagRuns/{run_id}/clear", json={"dry_run": False, "only_failed": True})

    def backfill(
        self, dag_id: str, first: datetime, last: datetime, *, max_active_runs: int, reprocess: str = "failed"
    ) -> list[str]:
        """Create a backfill, as ``airflow backfill create`` does.

        Parameters
        ----------
        first, last : datetime
            First and last instant of the schedule's ticks.
        reprocess : str, default "failed"
            Which existing runs are repeated: ``none``, ``failed`` or ``completed``.

        Returns
        -------
        list of str
            Partition keys of the interval.
        """
        body = {
            "dag_id": dag_id,
            "from_date": first.isoformat(),
            "to_date": last.isoformat(),
            "reprocess_behavior": reprocess,
            "max_active_runs": max_active_runs,
        }
        planned = self.request("POST", "backfills/dry_run", json=body)
        self.request("POST", "backfills", json=body)
        return [str(item["partition_key"]) for item in planned["backfills"]]

    def runs(self, dag_id: str) -> list[RunState]:
        """Return the runs of a DAG."""
        found = self._get(f"dags/{dag_id}/dagRuns?limit=1000&order_by=id")["dag_runs"]
        return [
            RunState(
                dag_id=item["dag_id"],
                run_id=item["dag_run_id"],
                partition_key=item["partition_key"],
                state=item["state"],
            )
            for item in found
        ]

    def wait(
        self, dag_id: str, partitions: Sequence[str], on_change: Callable[[list[RunState]], None], timeout_s: float
    ) -> list[RunState]:
        """Wait until the newest run of each partition has ended.

        Raises
        ------
        StackError
            If one of them has not ended in time.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            newest = {run.partition_key: run for run in self.runs(dag_id) if run.partition_key in partitions}
            on_change(list(newest.values()))
            if len(newest) == len(partitions) and all(run.state in FINAL for run in newest.values()):
                return list(newest.values())
            if time.monotonic() > deadline:
                raise StackError(f"{dag_id} has not ended after {timeout_s:.0f} s.", f"See {self.url}/dags/{dag_id}.")
            time.sleep(POLL_S)

    def wait_for_run(self, dag_id: str, run_id: str, timeout_s: float) -> RunState:
        """Wait until one run has ended.

        Raises
        ------
        StackError
            If it has not ended in time.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            run = next((run for run in self.runs(dag_id) if run.run_id == run_id), None)
            if run is not None and run.state in FINAL:
                return run
            if time.monotonic() > deadline:
                raise StackError(f"{dag_id} {run_id} has not ended after {timeout_s:.0f} s.", f"See {self.url}.")
            time.sleep(POLL_S)

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1) -> str:
        """Return the log of a task as JSON text."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}?full_content=true"
        return str(self._get(path))

    def failures(self, run: RunState) -> list[str]:
        """Return the failed tasks of a run, each with the address of its page."""
        tasks = self._get(f"dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances")["task_instances"]
        return [
            f"{item['task_id']}: {self.url}/dags/{run.dag_id}/runs/{run.run_id}/tasks/{item['task_id']}"
            for item in tasks
            if item["state"] == "failed"
        ]

    def request(self, method: str, path: str, *, json: Any = None, ok: tuple[int, ...] = (200, 201)) -> Any:
        """Send any other request to the API.

        Parameters
        ----------
        method, path : str
            Method such as ``GET``, and path after ``/api/v2/``.

        Returns
        -------
        object
            The response's JSON; None for an expected status that is not a success.

        Raises
        ------
        StackError
            If the status is not expected.
        """
        answer = self._send(method, f"/api/v2/{path}", json)
        if answer.status_code == httpx.codes.UNAUTHORIZED:  # at the first request, and after a token has expired
            token = self._send("POST", "/auth/token", self._login).raise_for_status().json()["access_token"]
            self._headers["Authorization"] = f"Bearer {token}"
            answer = self._send(method, f"/api/v2/{path}", json)
        if answer.status_code not in ok:
            raise StackError(
                f"Airflow refused {method} {path}: {answer.status_code} {answer.text[:300]}.",
                "Check the log of the api-server.",
            )
        return answer.json() if answer.is_success else None

    def _state(self, dag_id: str, run_id: str) -> str:
        return str(self._get(f"dags/{dag_id}/dagRuns/{run_id}")["state"])

    def _get(self, path: str) -> Any:
        return self.request("GET", path)

    def _send(self, method: str, path: str, json: Any) -> httpx.Response:
        for _ in range(READS - 1 if method == "GET" else 0):
            with suppress(httpx.TimeoutException):
                return self._send_once(method, path, json)
        return self._send_once(method, path, json)

    def _send_once(self, method: str, path: str, json: Any) -> httpx.Response:
        # No proxy: Airflow may run on this machine.
        return httpx.request(
            method, self.url + path, json=json, headers=self._headers, timeout=TIMEOUT_S, trust_env=False
        )
