"""Commands that move a release from one environment to the next."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from tidemill.cli.console import Model, app, out
from tidemill.workspace import Workspace

__all__: list[str] = []

PANEL = "Releases and records"  # heading in the help


@app.command("export", rich_help_panel=PANEL)
def export(
    model: Model,
    file: Annotated[Path, typer.Argument(help="Archive to write, such as release.tar.", dir_okay=False)],
    release: Annotated[int | None, typer.Option(help="Release to export; by default the champion.")] = None,
) -> None:
    """Write a release with its evidence into an archive, and print the archive's digest."""
    from tidemill.operations.transfer import export_release

    number, digest = export_release(Workspace.from_environment(), model, release, file)
    out.print(f"Release {number} of {model} is in {file}, digest {digest}.", highlight=False, soft_wrap=True)


@app.command("import", rich_help_panel=PANEL)
def import_(
    file: Annotated[Path, typer.Argument(help="Archive written by 'tidemill export'.")],
    digest: Annotated[
        str | None, typer.Option(help="Digest that the export printed; any other digest is refused.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who does it; by default the user of this shell.")] = None,
) -> None:
    """Import a release with its evidence, without promoting it."""
    from tidemill.operations.transfer import import_release

    done = import_release(Workspace.from_environment(), file, by=by or getpass.getuser(), digest=digest)
    was = "was already imported" if done.known else "is imported"
    out.print(
        f"Release {done.origin_release_id} of {done.model} {was}, as release {done.release_id}; archive {done.digest}.",
        highlight=False,
        soft_wrap=True,
    )
    out.print(f"The gate's verdict here: {done.decision.verdict.value.replace('_', ' ')}.", highlight=False)
    for reason in done.decision.reasons:
        out.print(f"- {reason}", highlight=False, soft_wrap=True)
    out.print(f"It does not serve. 'tidemill promote {done.model} {done.release_id}' promotes it.", soft_wrap=True)
