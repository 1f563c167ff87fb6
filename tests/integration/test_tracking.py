"""MLflow, a real server: what a training looks like there, and what it costs when the server fails."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest

from tidemill.errors import TrackingUnavailable
from tidemill.mlflow_mirror.alias import follow, follow_all
from tidemill.mlflow_mirror.mirror import show_waiting, waiting
from tidemill.operations.remove_model import remove_model
from tidemill.operations.rollback import promote_by_hand, roll_back
from tidemill.storage.scratch import temporary
from tidemill.storage.store import digest_folder
from tidemill.storage.tables import count_rows
from tidemill.tracking import PAGES_OF, ReleaseTags, Tracking, ensure_model, ensure_version
from tidemill.tracking.models import CONTENT

from .data import NEXT, SCORED, SPEC, Mill
from .mlflow_server import free_port, mlflow_server

LIMIT_S = 30  # P10: what a failing MLflow may cost a task
SEARCHING = SPEC.replace("[logistic_regression]", "[logistic_regression], search: {trials: 3, folds: 2}")
Trained = tuple[Mill, dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as running:
        yield running.uri


def at(mill: Mill, uri: str | None) -> Mill:
    return replace(mill, workspace=replace(mill.workspace, tracking_uri=uri))


@pytest.fixture(scope="module")
def shown(new_mill: Callable[[], Mill], server: str) -> Trained:
    """A model whose training MLflow shows, and the records of that training."""
    mill = at(new_mill(), server)
    mill.write(SEARCHING)
    return mill, mill.train()


@pytest.fixture(scope="module")
def client(server: str) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(server)


def runs(client: Any, mill: Mill) -> list[Any]:
    experiment = client.get_experiment_by_name(mill.model)
    return list(client.search_runs([experiment.experiment_id], max_results=1000)) if experiment else []


def parents(client: Any, mill: Mill) -> list[Any]:
    return [run for run in runs(client, mill) if "tidemill.training" in run.data.tags]


def children(client: Any, mill: Mill) -> dict[str, Any]:
    return {run.data.tags["tidemill.part"]: run for run in runs(client, mill) if "tidemill.part" in run.data.tags}


def test_a_removed_model_is_no_longer_shown(mill: Mill, server: str, client: Any) -> None:
    experiment = client.create_experiment(mill.model)
    client.create_registered_model(mill.model)
    (mill.workspace.models / f"{mill.model}.yaml").unlink()
    for _ in range(2):
        remove_model(at(mill, server).workspace, mill.owner_url, mill.model, by="ada", reason="over")
    assert client.get_experiment(experiment).lifecycle_stage == "deleted"
    assert client.search_registered_models(f"name = '{mill.model}'") == []


# ---------------------------------------------------------------- what is shown


def test_a_training_is_one_run_with_its_figures(shown: Trained, client: Any) -> None:
    mill, records = shown
    (run,) = parents(client, mill)
    assert run.info.run_id == records["register"]["mlflow_run_id"]
    assert run.info.status == "FINISHED"
    assert run.data.metrics["roc_auc"] == pytest.approx(records["evaluate"]["metrics"][0]["value"])
    assert run.data.metrics["system/cpu_seconds"] > 0


def test_its_tags_are_the_digests_of_all_that_it_stands_on(shown: Trained, client: Any) -> None:
    mill, records = shown
    tags = parents(client, mill)[0].data.tags
    assert tags["tidemill.snapshot_digest"] == records["extract"]["digest"]
    assert tags["tidemill.split_digest"] == records["prepare"]["digest"]
    assert tags["tidemill.bundle_digest"] == records["evaluate"]["bundle"]["digest"]
    assert all(tags[f"tidemill.{name}"] for name in ("spec_digest", "lock_digest", "code_version"))


def test_every_estimator_and_every_trial_is_a_nested_run(shown: Trained, client: Any) -> None:
    mill, _ = shown
    nested = children(client, mill)
    trials = {f"logistic_regression/{number:03}" for number in range(4)}
    assert set(nested) == {"logistic_regression", "prior", "group_rate", "shallow_tree"} | trials
    run_id = parents(client, mill)[0].info.run_id
    assert nested["prior"].data.tags["mlflow.parentRunId"] == run_id
    estimator = nested["logistic_regression"].info.run_id
    assert {nested[trial].data.tags["mlflow.parentRunId"] for trial in trials} == {estimator}


def test_a_trial_shows_its_settings_and_each_fold(shown: Trained, client: Any) -> None:
    mill, _ = shown
    trial = children(client, mill)["logistic_regression/001"]
    assert set(trial.data.params) == {"C"}
    assert [point.step for point in client.get_metric_history(trial.info.run_id, "fold_roc_auc")] == [0, 1]
    assert trial.info.end_time >= trial.info.start_time


def test_data_sets_are_named_with_digest_and_place_and_not_uploaded(shown: Trained, client: Any) -> None:
    import mlflow.data

    mill, records = shown
    inputs = client.get_run(parents(client, mill)[0].info.run_id).inputs.dataset_inputs
    assert sorted(item.tags[0].value for item in inputs) == ["snapshot", "test", "training", "validation"]
    (whole,) = [item.dataset for item in inputs if item.tags[0].value == "snapshot"]
    assert records["extract"]["digest"].startswith(whole.digest)
    for item in inputs:
        file = Path(mlflow.data.get_source(item.dataset).uri)
        assert count_rows(file) == json.loads(item.dataset.profile)["num_rows"]
        assert len(pd.read_parquet(file)) == json.loads(item.dataset.profile)["num_rows"]


def test_pictures_pages_and_the_card_are_there(shown: Trained, client: Any) -> None:
    run_id = parents(client, shown[0])[0].info.run_id
    top = {item.path for item in client.list_artifacts(run_id)}
    assert {"model_card.md", "model_card.html", "evaluation.html", "evaluation", "profile"} <= top


def test_the_champion_is_a_version_with_its_digests_and_the_alias(shown: Trained, client: Any) -> None:
    mill, records = shown
    version = client.get_model_version_by_alias(mill.model, "champion")
    assert str(version.version) == records["register"]["mlflow_version"] == "1"
    assert version.tags["tidemill.bundle_digest"] == records["evaluate"]["bundle"]["digest"]
    assert version.tags["tidemill.snapshot_digest"] == records["extract"]["digest"]


def test_nothing_waits_when_all_is_shown(shown: Trained) -> None:
    assert waiting(shown[0].workspace, shown[0].model) == ()


def again(shown: Trained) -> dict[str, Any]:
    mill, records = shown
    inputs = {"snapshot": "extract", "profile": "analyse", "split": "prepare", "evaluation": "evaluate",
              "decision": "validate_model"}  # fmt: skip
    return mill.step("train", "register", "2024-03-24", **{name: records[step] for name, step in inputs.items()})


def test_registering_again_doubles_nothing(shown: Trained, client: Any) -> None:
    before = {run.info.run_id for run in runs(client, shown[0])}
    record = again(shown)
    assert record["mlflow_run_id"] == shown[1]["register"]["mlflow_run_id"]
    assert {run.info.run_id for run in runs(client, shown[0])} == before
    assert len(client.search_model_versions(f"name = '{shown[0].model}'")) == 1


def test_what_is_missing_of_a_training_is_completed_in_its_own_run(shown: Trained, client: Any) -> None:
    mill, _ = shown
    (run,) = parents(client, mill)
    lost = children(client, mill)["logistic_regression/002"].info.run_id
    client.delete_tag(run.info.run_id, "tidemill.shown")
    client.delete_run(lost)
    again(shown)
    assert [one.info.run_id for one in parents(client, mill)] == [run.info.run_id]
    assert children(client, mill)["logistic_regression/002"].info.run_id != lost


def test_a_release_that_does_not_serve_is_the_challenger(
    new_mill: Callable[[], Mill], server: str, client: Any
) -> None:
    mill = at(new_mill(), server)
    mill.write(SPEC.replace("minimum: 0.6", "minimum: 0.99"))
    record = mill.train()["register"]
    assert not record["promoted"]
    aliases = client.get_registered_model(mill.model).aliases
    assert {name: str(version) for name, version in aliases.items()} == {"challenger": record["mlflow_version"]}


# ---------------------------------------------------------------- the alias follows the ledger


@pytest.fixture(scope="module")
def trained_twice(new_mill: Callable[[], Mill], server: str) -> tuple[Mill, int, int]:
    """A model whose first release serves and whose second one does not, both shown."""
    mill = at(new_mill(), server)
    first = mill.train(shown=False)["register"]["release_id"]
    mill.write(SPEC.replace("minimum: 0.6", "minimum: 0.99").replace("[logistic_regression]", "[random_forest]"))
    return mill, first, mill.train()["register"]["release_id"]


@pytest.fixture
def two(trained_twice: tuple[Mill, int, int]) -> Iterator[tuple[Mill, int, int]]:
    """The same, put back afterwards."""
    yield trained_twice
    mill, first, _ = trained_twice
    if mill.promoter.champion(mill.model).release_id != first:
        go_back(mill)


def alias(client: Any, mill: Mill) -> int:
    return int(client.get_model_version_by_alias(mill.model, "champion").tags["tidemill.release_id"])


def promote(mill: Mill, release_id: int) -> None:
    promote_by_hand(mill.spec, mill.workspace, release_id, force=True, approved_by="ann", reason="For a test.")


def go_back(mill: Mill) -> None:
    roll_back(mill.spec, mill.workspace, to=None, republish=None, approved_by="ann", reason="For a test.")


def test_the_alias_follows_a_promotion_and_a_rollback(two: tuple[Mill, int, int], client: Any) -> None:
    mill, first, second = two
    promote(mill, second)
    assert alias(client, mill) == second
    go_back(mill)
    assert alias(client, mill) == first


def test_an_alias_that_could_not_follow_is_moved_by_the_next_maintenance(
    two: tuple[Mill, int, int], client: Any
) -> None:
    mill, first, second = two
    promote(at(mill, "http://127.0.0.1:1"), second)
    assert mill.promoter.champion(mill.model).release_id == second
    assert alias(client, mill) == first
    follow_all(mill.workspace)
    assert alias(client, mill) == second
    assert list((mill.workspace.storage / mill.model / "unshown").iterdir()) == []


def test_through_a_bucket_another_machine_moves_the_alias(
    two: tuple[Mill, int, int], client: Any, tmp_path: Path
) -> None:
    mill, _, second = two
    bucket = f"file://{mill.workspace.storage}"
    one, other = (
        replace(mill, workspace=replace(mill.workspace, storage=tmp_path / name, bucket=bucket)) for name in "ab"
    )
    promote(at(one, "http://127.0.0.1:1"), second)
    assert waiting(other.workspace, mill.model) == ()  # what waits to be shown is another thing
    follow_all(other.workspace)
    assert alias(client, mill) == second


def test_an_mlflow_that_hangs_holds_no_promotion_back(two: tuple[Mill, int, int], hanging: str) -> None:
    mill, _, second = two
    started = time.monotonic()
    promote(at(mill, hanging), second)
    assert time.monotonic() - started < LIMIT_S
    assert mill.promoter.champion(mill.model).release_id == second


def test_without_a_promotion_mlflow_is_not_asked(two: tuple[Mill, int, int], hanging: str) -> None:
    mill, _, _ = two
    assert follow(at(mill, hanging).workspace, mill.model)


# ---------------------------------------------------------------- what a failing server costs


class Silent(BaseHTTPRequestHandler):
    """Passes requests on; of a path that ends as told, the answer is lost, after the server has done what was asked."""

    lost: list[str]
    target: str

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        there = urlsplit(self.target).netloc
        with closing(HTTPConnection(there, timeout=60)) as onward:
            onward.request(self.command, self.path, body, dict(self.headers) | {"Host": there})
            answer = onward.getresponse()
            content = answer.read()
        if any(self.path.split("?")[0].endswith(end) for end in self.lost):
            self.lost.clear()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def losing(server: str) -> Iterator[tuple[str, list[str]]]:
    """A way to the server on which the answer to one request can be lost."""
    lost: list[str] = []
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), type("Losing", (Silent,), {"lost": lost, "target": server}))
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{proxy.server_port}", lost
    proxy.shutdown()
    proxy.server_close()


@pytest.mark.parametrize(
    "path", ["model-versions/create", "registered-models/create", "runs/create", "runs/log-batch", "experiments/create"]
)
def test_a_lost_answer_doubles_nothing(
    new_mill: Callable[[], Mill], losing: tuple[str, list[str]], client: Any, path: str
) -> None:
    uri, lost = losing
    mill = at(new_mill(), uri)
    lost.append(path)
    record = mill.train(shown=False)["register"]
    assert record["promoted"]
    assert "failed: " in record["mirror_problem"]
    shown = show_waiting(mill.workspace, mill.model)
    assert len(parents(client, mill)) == 1
    assert len(children(client, mill)) == len(runs(client, mill)) - 1 == 4
    assert [str(one.version) for one in client.search_model_versions(f"name = '{mill.model}'")] == ["1"]
    assert [one.version for one in shown.values()] == ["1"]
    assert str(client.get_model_version_by_alias(mill.model, "champion").version) == "1"


@pytest.fixture
def hanging() -> Iterator[str]:
    """A socket that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_server_that_never_answers_costs_less_than_half_a_minute(hanging: str) -> None:
    started = time.monotonic()
    with pytest.raises(TrackingUnavailable), Tracking(hanging).session() as session:
        session.client.search_experiments()
    assert time.monotonic() - started < LIMIT_S


def test_a_server_that_is_not_there_is_known_at_once_without_its_password() -> None:
    started = time.monotonic()
    with pytest.raises(TrackingUnavailable) as caught, Tracking(f"http://me:secret@127.0.0.1:{free_port()}").session():
        pass
    assert time.monotonic() - started < 5
    assert "secret" not in str(caught.value)


def test_a_server_that_crawls_is_left_when_the_budget_is_used_up(server: str) -> None:
    with (
        pytest.raises(TrackingUnavailable, match="answers slowly"),
        Tracking(server).session(budget_s=-1.0) as session,
    ):
        session.check_time()


def test_a_training_whose_mlflow_hangs_promotes_and_is_shown_later(
    new_mill: Callable[[], Mill], hanging: str, server: str, client: Any
) -> None:
    mill = at(new_mill(), hanging)
    record = mill.train(shown=False)["register"]
    assert (record["promoted"], record["mlflow_run_id"]) == (True, None)
    assert record["mirror_problem"]
    ((wall_s,),) = mill.sql("SELECT wall_s FROM tidemill.run WHERE model = '{m}' AND step = 'register'")
    assert wall_s < LIMIT_S
    assert len(waiting(mill.workspace, mill.model)) == 1
    recovered = at(mill, server)
    (shown,) = show_waiting(recovered.workspace, mill.model).values()
    assert shown.run_id == parents(client, mill)[0].info.run_id
    assert waiting(mill.workspace, mill.model) == ()


def test_predictions_go_on_while_mlflow_hangs(
    new_mill: Callable[[], Mill], trained_mill: Trained, hanging: str
) -> None:
    mill = at(new_mill(), hanging)
    mill.adopt(trained_mill[1])
    started = time.monotonic()
    assert mill.predict()["publish"]["published"]
    assert time.monotonic() - started < LIMIT_S


# ---------------------------------------------------------------- uploads that fail half-way


class Failing(Silent):
    """Passes requests on, until the one that is to fail: it is refused, or its answer is lost."""

    requests: list[str]
    fails_at: list[int]
    loses: list[bool]

    def _pass(self) -> None:
        self.requests.append(f"{self.command} {self.path.partition('?')[0]}")
        if len(self.requests) - 1 not in self.fails_at:
            super()._pass()
        elif self.loses:
            self.lost.append("")  # every path ends so
            super()._pass()
        else:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(507)
            self.send_header("Content-Length", "0")
            self.end_headers()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass


@pytest.fixture(scope="module")
def failing(server: str) -> Iterator[tuple[str, type[Failing]]]:
    """A way to the server on which the n-th request fails."""
    kind = type("FailingHere", (Failing,), {"lost": [], "target": server, "requests": [], "fails_at": [], "loses": []})
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{proxy.server_port}", kind
    proxy.shutdown()
    proxy.server_close()


def write_small_model(folder: Path, ids: dict[str, str]) -> None:
    """Write three files in the place of a model's thirty: each is a request that may fail."""
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text(json.dumps(ids))
    for name in ("manifest.json", "model.json"):
        (folder / "data" / name).write_text(name)


def show_small_model(uri: str, run_id: str, tags: ReleaseTags) -> str:
    with Tracking(uri).session(60.0) as session:
        model_id = ensure_model(session, run_id, tags.bundle_digest, write_small_model, digest_folder, temporary)
        return ensure_version(session, run_id, model_id, tags)


def is_whole(client: Any, version: Any, folder: Path) -> bool:
    """Whether each file of a version is there, by the digest that MLflow was given before the upload."""
    import mlflow

    copy = mlflow.artifacts.download_artifacts(artifact_uri=version.source, dst_path=str(folder))
    (Path(copy) / "registered_model_meta").unlink(missing_ok=True)  # what MLflow's client adds
    logged = client.get_logged_model(version.source.removeprefix("models:/"))
    return len(list(Path(copy).rglob("*.json"))) == 2 and digest_folder(Path(copy)) == logged.tags[CONTENT]


@pytest.mark.parametrize("loses", [False, True], ids=["refused", "answer lost"])
def test_wherever_an_upload_fails_no_version_is_empty_and_the_next_attempt_completes_it(
    server: str, failing: tuple[str, type[Failing]], client: Any, tmp_path: Path, loses: bool
) -> None:
    uri, proxy = failing
    proxy.loses[:] = [True] * loses
    model = f"upload_{loses}".lower()
    experiment = client.create_experiment(model)
    at, n_requests = -1, 1  # the first attempt is undisturbed, and counts them
    while at < n_requests:
        run_id = client.create_run(experiment).info.run_id
        tags = ReleaseTags(model=model, release_id=at, bundle_digest="0" * 64)
        proxy.requests.clear()
        proxy.fails_at[:] = [at]
        with suppress(TrackingUnavailable):  # where the search fails for what is there already, nothing was begun
            show_small_model(uri, run_id, tags)
        n_requests = max(n_requests, len(proxy.requests)) if at < 0 else n_requests
        proxy.fails_at.clear()
        proxy.lost.clear()
        found = client.search_model_versions(f"name = '{model}' AND tags.`tidemill.release_id` = '{at}'")
        assert all(is_whole(client, version, tmp_path / f"{at}-{version.version}") for version in found), proxy.requests
        number = show_small_model(uri, run_id, tags)
        assert is_whole(client, client.get_model_version(model, number), tmp_path / f"{at}-after"), proxy.requests
        assert len(client.search_model_versions(f"name = '{model}' AND tags.`tidemill.release_id` = '{at}'")) == 1
        assert [item.model_id for item in client.get_run(run_id).outputs.model_outputs] == [
            client.get_model_version(model, number).source.removeprefix("models:/")
        ]
        at += 1
    assert n_requests > 12


def test_a_model_whose_file_is_lost_is_uploaded_again_before_the_alias_moves(
    two: tuple[Mill, int, int], client: Any, tmp_path: Path
) -> None:
    mill, _, second = two
    (version,) = [
        item
        for item in client.search_model_versions(f"name = '{mill.model}'")
        if item.tags["tidemill.release_id"] == str(second)
    ]
    model_id = version.source.removeprefix("models:/")
    (lost,) = tmp_path.parent.rglob(f"{model_id}/artifacts/MLmodel")
    lost.unlink()
    promote(mill, second)
    assert lost.is_file() or alias(client, mill) != second
    for _ in range(3):  # a slow machine may use up a promotion's time for MLflow; maintenance goes on
        follow_all(mill.workspace)
    assert lost.is_file()
    assert alias(client, mill) == second


def test_a_deleted_experiment_and_run_are_restored_by_the_next_training(
    new_mill: Callable[[], Mill], server: str, client: Any
) -> None:
    mill = at(new_mill(), server)
    record = mill.train(shown=False)["register"]
    experiment = client.get_experiment_by_name(mill.model)
    client.delete_run(record["mlflow_run_id"])
    client.delete_experiment(experiment.experiment_id)
    mill.write(SPEC.replace("[logistic_regression]", "[random_forest]"))
    again = mill.train()["register"]
    assert (again["mirror_problem"], bool(again["mlflow_version"])) == ("", True)
    assert client.get_experiment_by_name(mill.model).lifecycle_stage == "active"


# ---------------------------------------------------------------- daily pages


def pages(client: Any, mill: Mill) -> list[str]:
    found = [run for run in runs(client, mill) if PAGES_OF in run.data.tags]
    return [item.path for run in found for item in client.list_artifacts(run.info.run_id, "monitoring")]


def watched_day(mill: Mill, trained: Trained, uri: str, day: str = SCORED) -> dict[str, Any]:
    """Predict a day and write its page; return the record of the report."""
    if mill.promoter.champion(mill.model) is None:
        mill.adopt(trained[1])
    mill.predict(day)
    return at(mill, uri).monitor(day)["report"]


def test_the_daily_page_is_an_artifact_of_its_release_s_run(
    mill: Mill, trained_mill: Trained, server: str, client: Any
) -> None:
    record = watched_day(mill, trained_mill, server)
    again = watched_day(mill, trained_mill, server, NEXT)
    assert pages(client, mill) == [f"monitoring/{day}.html" for day in (SCORED, NEXT)]
    assert record["mlflow_run_id"] == again["mlflow_run_id"]
    assert waiting(mill.workspace, mill.model) == ()


def test_a_page_of_a_day_that_is_monitored_again_replaces_the_first(
    mill: Mill, trained_mill: Trained, server: str, client: Any, tmp_path: Path
) -> None:
    watched_day(mill, trained_mill, server)
    record = watched_day(mill, trained_mill, server)
    copy = client.download_artifacts(record["mlflow_run_id"], f"monitoring/{SCORED}.html", str(tmp_path))
    page = mill.workspace.storage / record["uri"] / "index.html"
    assert pages(client, mill) == [f"monitoring/{SCORED}.html"]
    assert Path(copy).read_text() == page.read_text()


def test_without_mlflow_the_day_is_watched_and_its_page_shown_later(
    mill: Mill, trained_mill: Trained, server: str, client: Any
) -> None:
    record = watched_day(mill, trained_mill, f"http://127.0.0.1:{free_port()}")
    assert (record["mlflow_run_id"], len(waiting(mill.workspace, mill.model))) == (None, 1)
    assert "Nothing answers" in record["mirror_problem"]
    show_waiting(at(mill, server).workspace, mill.model)
    assert pages(client, mill) == [f"monitoring/{SCORED}.html"]
    assert waiting(mill.workspace, mill.model) == ()


def test_a_waiting_page_that_retention_removed_is_struck_out(
    mill: Mill, trained_mill: Trained, server: str, client: Any
) -> None:
    record = watched_day(mill, trained_mill, f"http://127.0.0.1:{free_port()}")
    (mill.workspace.storage / record["uri"]).rename(mill.workspace.storage / "elsewhere")
    (shown,) = show_waiting(at(mill, server).workspace, mill.model).values()
    assert (shown.run_id, pages(client, mill), waiting(mill.workspace, mill.model)) == (None, [], ())
