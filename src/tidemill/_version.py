"""The release of this code, as its package's metadata has it."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("tidemill")
