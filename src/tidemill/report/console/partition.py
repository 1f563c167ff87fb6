"""The page of one partition: its rows, alerts and decisions, and each step with its run and log in Airflow."""

from collections.abc import Collection

from tidemill.records import PartitionDetails, Verdict, percent
from tidemill.report.console.links import run_path, task_path, trail_of
from tidemill.report.html import Answer, Link, Tile, count, figure, interval, page, when

__all__ = ["partition_page"]


def partition_page(details: PartitionDetails, possible: Collection[str] = ()) -> str:
    """Return the page of a partition, whether or not it has been published.

    Parameters
    ----------
    possible : collection of str, default ()
        Names of the actions that the reader may take.
    """
    return page(
        "partition.html",
        kind="Partition",
        model=details.model,
        partition=details.partition,
        trail=trail_of(details.model, details.partition),
        links=_links(details),
        answer=_answer(details),
        tiles=_tiles(details),
        details=details,
        possible=possible,
        of={"partition": details.partition},
        steps=[(step, run_path(step), task_path(step)) for step in details.steps],
    )


def _links(details: PartitionDetails) -> list[Link]:
    published = details.published
    links = [
        Link(f"{arrow} {key}", f"../{key}/")
        for arrow, key in (("Previous:", details.previous), ("Next:", details.next))
        if key
    ]
    pages = (("monitoring", published.monitoring), ("data", published.contract)) if published else ()
    prefix = f"{details.model}/"
    links += [
        Link(name, f"../../{uri.removeprefix(prefix)}/?partition={details.partition}") for name, uri in pages if uri
    ]
    if published:
        links.append(Link(f"release {published.release_id}", f"../../releases/{published.release_id}/"))
    return links


def _answer(details: PartitionDetails) -> Answer:
    question, published = f"What became of {details.partition}?", details.published
    failed = [step for step in details.steps if step.status == "failed"]
    reasons = tuple(reason for decision in details.row_decisions for reason in decision.reasons)
    if details.withheld:
        return Answer(question=question, answer="Its newest rows are withheld.", tone="fail", reasons=reasons)
    if published is None:
        tone = "fail" if failed else "none"
        return Answer(question=question, answer="It has not been published.", tone=tone)
    rows = f"{count(published.n_rows)} rows by release {published.release_id}" if published.n_rows else "empty"
    said = f"Published on {when(published.published_at)}, {rows}{', simulated' if published.simulated else ''}."
    found = any(item.event != "resolved" for item in details.alerts)
    return Answer(question=question, answer=said, tone="warn" if found else "good", reasons=reasons)


def _tiles(details: PartitionDetails) -> list[Tile]:
    published = details.published
    if published is None:
        return []
    figures = (("Realised", published.realised), ("Estimated", published.estimated))
    tiles = [Tile(label="Rows", value=count(published.n_rows))]
    tiles += [
        Tile(label=f"{label} {value.name}", value=figure(value.value), note=interval(value))
        for label, value in figures
        if value
    ]
    if published.drift_share is not None:
        tiles.append(Tile(label="Drifted features", value=percent(published.drift_share)))
    tiles.append(Tile(label="Alerts", value=str(len(details.alerts))))
    if details.revision is not None:
        n_differing = details.revision.n_added + details.revision.n_removed + details.revision.n_changed
        tiles.append(Tile(label="Rows that differ from before", value=count(n_differing), note=details.revision.words))
    decided = [item for item in details.row_decisions if item.kind == "publish"]
    if decided:
        word = "released" if decided[-1].verdict is Verdict.ACCEPT else "discarded"
        tiles.append(Tile(label="Withheld rows", value=word, note=when(decided[-1].decided_at)))
    return tiles
