"""Write a bundle as an MLflow model that loads without Tidemill, because it includes the loader's code.

The code is a separate package, named by the digest of its content. So it never shadows an installed Tidemill, and
models of different versions load in one process. Requirements name only public packages.
"""

import ast
import hashlib
import re
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from tidemill._version import __version__
from tidemill.modeling.bundle import Bundle
from tidemill.storage.bundles.golden import golden_rows
from tidemill.storage.bundles.load import GOLDEN, read_file
from tidemill.storage.bundles.pyfunc_loader import predicted_columns

__all__ = ["requirements", "signature_of", "write_mlflow_model", "write_scoring_code"]

_ROOT = Path(__file__).parents[2]
_LOADER = "storage.bundles.pyfunc_loader"
_ENCODERS = "modeling.preprocessing"  # Tidemill's own types that a bundle constructs
_LIBRARIES = (
    "numpy", "packaging", "pandas", "pyarrow", "pydantic", "scikit-learn", "scipy", "skops", "threadpoolctl", "xgboost",
)  # fmt: skip
_IMPORT = re.compile(r"^(\s*(?:from|import) )tidemill\b", re.MULTILINE)
_N_EXAMPLES = 5  # rows that the model's page shows


def write_mlflow_model(bundle: Bundle, source: Path, target: Path, ids: dict[str, str]) -> None:
    """Write a model in MLflow's format.

    Parameters
    ----------
    bundle : Bundle
        The bundle loaded from ``source``, with all checks.
    source : Path
        Folder of the bundle, named by its digest.
    target : Path
        Folder to write; must not exist.
    ids : dict of str to str
        ``model_id`` and ``run_id`` in MLflow, or nothing.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of Python and pandas about MLflow's own code
        import mlflow.pyfunc
        from mlflow.models import Model

        code = target.with_name(f"{target.name}-code")
        package = write_scoring_code(code)
        golden = golden_rows(read_file(source, GOLDEN), GOLDEN)
        mlflow.pyfunc.save_model(
            str(target),
            mlflow_model=Model(**ids),
            loader_module=f"{package}.{_LOADER}",
            data_path=str(source),
            code_paths=[str(code / package)],
            signature=signature_of(bundle),
            input_example=golden[list(bundle.schema.names)].head(_N_EXAMPLES),
            pip_requirements=requirements(bundle),
        )


def write_scoring_code(folder: Path) -> str:
    """Write the loader and all its imports from Tidemill as a package into a folder; return the package's name."""
    sources = _sources()
    digest = hashlib.sha256("\0".join(f"{path}\0{text}" for path, text in sources.items()).encode()).hexdigest()
    package = f"tidemill_scoring_{digest[:12]}"
    for name, text in sources.items():
        path = folder / package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_IMPORT.sub(rf"\1{package}", text), encoding="utf-8")
    return package


def _sources() -> dict[str, str]:
    """Return the source of each module that importing the loader imports, by path."""
    found, waiting = {}, [_LOADER, _ENCODERS]
    while waiting:
        module = waiting.pop()
        path = _path(module)
        if path is None or path in found:
            continue
        found[path] = (_ROOT / path).read_text(encoding="utf-8")
        waiting += [module.rpartition(".")[0], *_imports(found[path])]
    # The version is no longer that of an installed package.
    found["__init__.py"] = '"""Scoring code of Tidemill."""\n'
    found["_version.py"] = f'__version__ = "{__version__}"\n'
    return dict(sorted(found.items()))


def _path(module: str) -> str | None:
    name = module.replace(".", "/")
    return next((path for path in (f"{name}.py", f"{name}/__init__.py".strip("/")) if (_ROOT / path).is_file()), None)


def _imports(source: str) -> Iterator[str]:
    """Return the modules that a module may import from Tidemill at its top; an imported name may be a module too."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "tidemill":
            module = node.module.removeprefix("tidemill").removeprefix(".")
            yield module
            yield from (f"{module}.{alias.name}".removeprefix(".") for alias in node.names)


def signature_of(bundle: Bundle) -> Any:
    """Return the ``mlflow.models.ModelSignature``: every feature is required, and may contain all that `align` accepts.

    MLflow refuses whole numbers for the declared type ``double``, and a category without any value for ``string``. So
    inputs are declared as ``any``, and the model itself refuses what it cannot read.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    inputs = [ColSpec(AnyType(), name) for name in bundle.schema.names]
    names = predicted_columns(bundle, bundle.task_type.no_scores(len(bundle.classes)))
    outputs = [ColSpec("string" if name == "predicted" else "double", name) for name in names]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def requirements(bundle: Bundle) -> list[str]:
    """Return MLflow's ``pip_requirements``: the public packages that loading imports, as installed here."""
    return [f"{library}=={metadata.version(library)}" for library in (*_LIBRARIES, *bundle.libraries)]
