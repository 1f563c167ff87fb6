"""The course of the figure behind an alert, as a PNG for a mail."""

from collections.abc import Sequence

from tidemill.monitoring.alerts.families import FAMILIES
from tidemill.records import AlertEvent, MetricValue
from tidemill.warehouse.alerts.outbox import Told, WaitingMessage
from tidemill.warehouse.ledger import Ledger

__all__ = ["draw"]

MOST = 3  # pictures in one mail: about 40 kB each
N_PARTITIONS = 45  # newest ones in a picture


def draw(ledger: Ledger, message: WaitingMessage) -> dict[str, bytes]:
    """Draw the figures of the worst alerts that go on; gives PNG by name, none where nothing can be drawn."""
    found: dict[str, bytes] = {}
    for event in message.events:
        if len(found) < MOST and event.event is not AlertEvent.RESOLVED:
            values = _course(ledger, message.model, event, message.partition)
            if len(values) > 1:
                found[f"alert-{event.alert_id}.png"] = _picture(event, values)
    return found


def _course(ledger: Ledger, model: str, event: Told, until: str) -> dict[str, MetricValue]:
    family, _, subject = event.rule.partition(":")
    if family not in FAMILIES:
        return {}
    part, metric = FAMILIES[family].part, FAMILIES[family].metric
    if family == "quality":
        metric, subject = subject, ""
    if not metric:
        return {}
    by_partition = ledger.metrics(model, part, metric, until=until)
    found = {key: _of(values, subject) for key, values in sorted(by_partition.items())[-N_PARTITIONS:]}
    return {key: value for key, value in found.items() if value is not None}


def _of(values: Sequence[MetricValue], subject: str) -> MetricValue | None:
    """Return the figure of a feature, of a step, of model, data or labels, or of the whole."""
    mine = {subject or None, f"step={subject}", f"of={subject}"}
    return next((value for value in values if (value.feature or value.slice) in mine), None)


def _picture(event: Told, values: dict[str, MetricValue]) -> bytes:
    from tidemill.report.charts import metric_over_partitions, to_png  # draws, which most senders need not load

    name = next(iter(values.values())).name
    subject = event.rule.partition(":")[2]
    return to_png(
        metric_over_partitions(
            values, title=f"{name} {'' if subject == name else subject}".strip(), threshold=event.threshold
        )
    )
