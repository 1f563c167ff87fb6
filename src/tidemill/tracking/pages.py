"""Daily pages in MLflow: artifacts of one run per release, separate from its training run."""

from dataclasses import dataclass
from pathlib import Path

from tidemill.records import Record
from tidemill.tracking.runs import experiment_of
from tidemill.tracking.server import Session

__all__ = ["PAGES_OF", "DailyPage", "show_page"]

PAGES_OF = "tidemill.pages_of"
"""Tag of the run that holds a release's pages: model and release."""

FOLDER = "monitoring"


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyPage(Record):
    """One page of one partition, to be shown."""

    model: str
    """Name of the model, and of the experiment."""
    partition: str
    release_id: int
    uri: str
    """Folder with ``index.html``, relative to the storage root."""

    @property
    def key(self) -> str:
        """Identity of the page; a newer page with the same key replaces it."""
        return f"page:{self.partition}:{self.release_id}"


def show_page(session: Session, page: DailyPage, folder: Path) -> str:
    """Show a page, or a newer one of its partition; return the id of its run.

    Parameters
    ----------
    folder : Path
        Folder of the page on this machine.
    """
    run_id = _run(session, page)
    session.check_time()
    text = (folder / "index.html").read_text(encoding="utf-8")
    session.client.log_text(run_id, text, f"{FOLDER}/{page.partition}.html")
    return run_id


def _run(session: Session, page: DailyPage) -> str:
    """Return the run of the release's pages, found by its tag or created.

    It starts now by the clock: a run that starts with an old partition would seem to have taken years.
    """
    experiment_id, of = experiment_of(session, page.model), f"{page.model}:{page.release_id}"
    session.check_time()
    found = session.client.search_runs(
        [experiment_id], f"tags.`{PAGES_OF}` = '{of}'", max_results=1, order_by=["attributes.start_time ASC"]
    )
    if found:
        return str(found[0].info.run_id)
    session.check_time()
    run = session.client.create_run(
        experiment_id,
        run_name=f"monitoring of release {page.release_id}",
        tags={PAGES_OF: of, "tidemill.release_id": str(page.release_id)},
    )
    session.client.set_terminated(run.info.run_id, "FINISHED")
    return str(run.info.run_id)
