"""The history of an alert's metric, as a PNG for a mail."""

from collections.abc import Sequence

from tidemill.monitoring.alerts.families import FAMILIES
from tidemill.records import AlertEvent, MetricValue
from tidemill.warehouse.alerts.outbox import Told, WaitingMessage
from tidemill.warehouse.ledger import Ledger

__all__ = ["draw"]

MAX_PICTURES = 3  # per mail: about 40 kB each
N_PARTITIONS = 45  # the newest partitions, in one picture


def draw(ledger: Ledger, message: WaitingMessage) -> dict[str, bytes]:
    """Draw the metrics of the worst unresolved alerts; return the PNG files by name, without those that cannot be drawn."""
    found: dict[str, bytes] = {}
    for event in message.events:
        if len(found) < MAX_PICTURES and event.event is not AlertEvent.RESOLVED:
            values = _history(ledger, message.model, event, message.partition)
            if len(values) > 1:
                found[f"alert-{event.alert_id}.png"] = _picture(event, values)
    return found


def _history(ledger: Ledger, model: str, event: Told, until: str) -> dict[str, MetricValue]:
    family, _, subject = event.rule.partition(":")
    if family not in FAMILIES:
        return {}
    part, metric = FAMILIES[family].part, FAMILIES[family].metric
    if family == "quality":
        metric, subject = subject, ""
    if not metric:
        return {}
    by_partition = ledger.metrics(model, part, metric, until=until)
    found = {key: _of(values, subject) for key, values in list(by_partition.items())[-N_PARTITIONS:]}
    return {key: value for key, value in found.items() if value is not None}


def _of(values: Sequence[MetricValue], subject: str) -> MetricValue | None:
    """Return the value of a feature, of a step, of model, data or labels, or of the whole."""
    mine = {subject or None, f"step={subject}", f"of={subject}"}
    return next((value for value in values if (value.feature or value.slice) in mine), None)


def _picture(event: Told, values: dict[str, MetricValue]) -> bytes:
    from tidemill.report.charts import (  # loads the drawing library, which most senders do not need
        metric_over_partitions,
        to_png,
    )

    name = next(iter(values.values())).name
    subject = event.rule.partition(":")[2]
    return to_png(
        metric_over_partitions(
            values, title=f"{name} {'' if subject == name else subject}".strip(), threshold=event.threshold
        )
    )
