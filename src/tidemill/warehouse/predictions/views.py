"""The view ``predictions.<model>``, and objects that depend on it."""

from tidemill.errors import SettingsError
from tidemill.warehouse.connections import fetch_value, transaction
from tidemill.warehouse.statements import execute

__all__ = ["refuse_broken_views", "would_break"]


def refuse_broken_views(url: str, model: str, task: str) -> None:
    """Raise if a model's task has changed and its view, whose columns change with it, has dependents.

    A warehouse without a ledger has no views yet.

    Raises
    ------
    SettingsError
        With the dependents by name.
    """
    with transaction(url) as cursor:
        execute(cursor, "ledger_exists")
        if not fetch_value(cursor):
            return
        execute(cursor, "view_dependents", model=model, task=task)
        found = cursor.fetchall()
    if found:
        raise would_break(model, f"from {found[0][0]} to {task}", [dependent for _, dependent in found])


def would_break(model: str, change: str, dependents: list[str]) -> SettingsError:
    """Return the error about a view that cannot be replaced."""
    return SettingsError(
        f"The task of {model!r} changes {change}, and with it the columns of predictions.{model}, on which"
        f" {', '.join(dependents)} depend{'s' if len(dependents) == 1 else ''}.",
        "Drop what depends on the view, predict, and create it again on the new columns; or give the model another name.",
    )
