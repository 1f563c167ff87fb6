"""Notify: send the waiting messages about a model's alerts."""

from tidemill.delivery.sending import send_waiting
from tidemill.errors import ChannelUnavailable
from tidemill.records import SentRef
from tidemill.runtime import declarations
from tidemill.runtime.job import Job

__all__ = ["notify"]


@declarations.notify
def notify(job: Job) -> SentRef:
    """Send the model's waiting messages to their channels; runs last, so that the linked page exists.

    Raises
    ------
    ChannelUnavailable
        If a message still waits, so that a dead channel is noticed. No message is lost; a later run sends it again.
    """
    sent = send_waiting(job.workspace, model=job.spec.model)
    if sent.n_waiting:
        why = " ".join(sent.problems) or "They were refused before, and their next attempt is not due yet."
        raise ChannelUnavailable(
            f"{sent.n_waiting} message(s) about alerts of {job.spec.model!r} wait for their channel. {why}",
            "They stay in the outbox; fix the channel, and see 'tidemill alerts --send'.",
        )
    return sent
