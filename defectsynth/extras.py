"""Optional packages: imported when they are used, with the way out where they are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from defectsynth.errors import InputError

__all__ = ["needed"]


def needed(module: str, extra: str, what: str) -> Any:
    """The module.

    Args:
        module: its name.
        extra: the extra of this package that brings it.
        what: what needs it, as the subject of a sentence.

    Raises:
        InputError: it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(
            f'{what} needs the package {error.name!r}, which is not installed: pip install "defectsynth[{extra}]"'
        ) from None
