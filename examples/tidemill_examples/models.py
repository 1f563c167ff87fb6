"""The examples' models: which files each consists of, which data it reads, and as of when it can be trained."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tidemill.errors import SettingsError
from tidemill.onboarding.writing import write_texts
from tidemill.workspace import Workspace
from tidemill_examples.customers import load_customers
from tidemill_examples.flights import load_flights
from tidemill_examples.orders import load_orders

__all__ = ["EXAMPLES", "Example", "copy_files", "find_example"]

_HERE = Path(__file__).parent
_CHECKOUT = _HERE.parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A model on invented or public data."""

    model: str
    load: Callable[[str], object]
    """Loads its data, unless they are there; takes the owner's connection URL."""
    partition: str
    """A partition as of which it can be trained, and that can be scored."""


EXAMPLES = {
    "flights": Example(
        model="flight_delays", load=lambda url: load_flights(url, lambda *_: None), partition="2013-07-01"
    ),
    "orders": Example(model="order_returns", load=load_orders, partition="2024-05-01"),
    "demand": Example(model="store_orders", load=load_orders, partition="2024-05-01"),
    "panel": Example(model="customer_churn", load=load_customers, partition="2024-06-10"),
}
"""Examples by the name that ``tidemill init --example`` takes."""


def find_example(name: str) -> Example:
    """Return an example.

    Raises
    ------
    SettingsError
        If it has no example of this name.
    """
    if name not in EXAMPLES:
        raise SettingsError(f"There is no example {name!r}.", f"Choose one of {', '.join(EXAMPLES)}.")
    return EXAMPLES[name]


def copy_files(example: Example, workspace: Workspace, *, force: bool) -> list[Path]:
    """Copy an example's spec and queries into a project; return the files that were written.

    Raises
    ------
    SettingsError
        If one of them is there with another content and ``force`` is False; nothing is written then.
    """
    texts = {workspace.sql / example.model / path.name: path.read_text(encoding="utf-8") for path in _queries(example)}
    texts[workspace.models / f"{example.model}.yaml"] = _spec(example).read_text(encoding="utf-8")
    new = {path: text for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text}
    if (there := [str(path) for path in new if path.exists()]) and not force:
        raise SettingsError(f"{', '.join(there)} has another content; nothing was written.", "Pass --force.")
    write_texts(new)  # the spec last: without its queries, it would be broken
    return list(new)


def _spec(example: Example) -> Path:
    """Return the spec in the installed package, or in the checkout."""
    places = (_HERE / "models", _CHECKOUT / "examples" / "models", _CHECKOUT / "dags" / "models")
    return next(path for folder in places if (path := folder / f"{example.model}.yaml").is_file())


def _queries(example: Example) -> list[Path]:
    shipped = _HERE / "queries" / example.model
    return sorted((shipped if shipped.is_dir() else _CHECKOUT / "sql" / example.model).glob("*.sql"))
