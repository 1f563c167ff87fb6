"""The page that asks before a person's action is carried out."""

from collections.abc import Sequence
from dataclasses import dataclass

from tidemill.report.console.links import trail_of
from tidemill.report.html import Answer, page

__all__ = ["ActionForm", "FormField", "action_page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One field of the form."""

    name: str
    title: str
    description: str
    """Sentence below it."""
    kind: str
    """``text``, ``number``, ``checkbox``, ``datetime-local``, ``choice`` or ``hidden``."""
    value: str
    """Value as text; empty for none."""
    required: bool
    """Whether it must be filled in."""
    choices: tuple[str, ...] = ()
    """Values of a choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionForm:
    """What a person is about to do."""

    title: str
    """Imperative phrase."""
    effect: str
    """What happens then."""
    dag_id: str
    """DAG whose run does it, or whose task is answered."""
    by: str
    """Person in whose name it is done."""
    fields: Sequence[FormField]
    """Fields in order."""
    command: str
    """Equivalent command; empty if there is none."""
    token: str
    """Proof that this page was made for this person and action; empty for a page that offers only a preview."""
    plan: Sequence[str] = ()
    """What would change, one sentence each."""
    problem: str = ""
    """Why what was sent cannot be done; empty if nothing was."""


def action_page(model: str, form: ActionForm) -> str:
    """Return the page with an action's form, its consequences and the equivalent command."""
    reasons = (form.problem,) if form.problem else (form.effect, *form.plan)
    return page(
        "action.html",
        kind="Action",
        model=model,
        partition="",
        trail=trail_of(model, form.title),
        answer=Answer(
            question=f"Do this to {model}?" if form.token else f"What would change in {model}?",
            answer=f"Not done: {form.title}." if form.problem else f"{form.title}?",
            tone="fail" if form.problem else "none",
            reasons=reasons,
        ),
        has_form=True,
        form=form,
    )
