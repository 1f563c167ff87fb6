"""The console's figures as JSON, for its own charts and for other programs: read-only, with the rights of the pages."""

from typing import Annotated, Any

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Query
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from tidemill import __version__
from tidemill.records import FigureName, FigureOfPartition, WantedFigure
from tidemill_airflow.console.access import Ledger, Model, PartitionKey

__all__ = ["FigureQuery", "router"]

MOST_PARTITIONS = 5000  # of one answer: more than a decade of days

router = APIRouter(tags=["figures"])

Text = Annotated[str, StringConstraints(max_length=200, pattern="^[^\\x00]*$")]


class FigureQuery(BaseModel):
    """Which figure, of which rows, over which partitions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    part: Text = Field(description="Part of monitoring, such as performance")
    name: Text = Field(description="Name of the figure")
    slice: Text | None = Field(None, description="Slice, such as origin=JFK; all rows by default")
    feature: Text | None = Field(None, description="Feature, for a figure that each feature has")
    first: PartitionKey | None = Field(None, description="First partition; the oldest by default")
    last: PartitionKey | None = Field(None, description="Last partition, included; the newest by default")
    limit: int = Field(MOST_PARTITIONS, ge=1, le=MOST_PARTITIONS, description="Newest partitions at most")

    def figure(self) -> WantedFigure:
        """Return the figure that is asked for."""
        return WantedFigure(**self.model_dump(exclude={"limit"}))


@router.get("/api/openapi.json", include_in_schema=False)
def _description(user: GetUserDep) -> dict[str, Any]:
    return get_openapi(title="Tidemill", version=__version__, routes=router.routes)


@router.get("/{model}/api/names", summary="Figures and slices of the model's newest partitions")
def _names(model: Model, overview: Ledger) -> tuple[FigureName, ...]:
    return overview.figure_names(model)


@router.get("/{model}/api/figures", summary="One figure over partitions, oldest first")
def _figures(model: Model, overview: Ledger, wanted: Annotated[FigureQuery, Query()]) -> tuple[FigureOfPartition, ...]:
    return overview.figures(model, wanted.figure(), wanted.limit)
