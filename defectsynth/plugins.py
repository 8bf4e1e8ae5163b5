"""Modules and files with kinds of a user's own, imported before a recipe is read so that YAML knows what they register.

Nothing here reads a dataset: only what a person names is ever imported.
"""

from __future__ import annotations

import importlib
import re
import sys
import traceback
from collections.abc import Iterable, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from zlib import crc32

from defectsynth.errors import InputError

__all__ = ["load_plugins", "missing_plugins"]

_FILE = ".py"


def load_plugins(names: Iterable[str]) -> tuple[str, ...]:
    """Imports modules by name and ``.py`` files by path, each at most once in a process.

    A file is entered in ``sys.modules`` under a name that follows from its path, so that its classes can be pickled and sent to
    another process that has imported it. Its folder is not put on the path: install a file that needs its neighbours.

    Returns:
        The names as a job keeps them: modules as given, files as absolute paths.

    Raises:
        InputError: the file or module is not there, or importing it failed; the message says where.
    """
    return tuple(_load_file(name) if name.endswith(_FILE) else _load_module(name) for name in names)


def missing_plugins(recorded: Iterable[str], given: Sequence[str]) -> list[str]:
    """Those of ``recorded`` that are not among ``given``; a file may have moved, so that its name counts and not its folder."""
    files = {Path(name).name for name in given if name.endswith(_FILE)}
    return [name for name in recorded if (Path(name).name not in files if name.endswith(_FILE) else name not in given)]


def _load_module(name: str) -> str:
    if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", name):
        raise InputError(f"--import {name!r} is neither a module's name nor a path that ends in .py")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name + ".").startswith(error.name + "."):
            raise _failed(name, error) from error
        raise InputError(f"--import {name!r}: there is no such module: install it, or give the path of its .py file") from None
    except Exception as error:  # whatever a user's own code raises
        raise _failed(name, error) from error
    return name


def _load_file(name: str) -> str:
    path = Path(name).resolve()
    if not path.is_file():
        raise InputError(f"--import {name!r}: there is no such file: check the path")
    module_name = f"defectsynth_plugin_{path.stem}_{crc32(str(path).encode()):08x}"
    if module_name in sys.modules:
        return str(path)
    spec = spec_from_file_location(module_name, path)
    assert spec is not None  # the name ends in .py
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a user's own code raises
        del sys.modules[module_name]
        raise _failed(name, error) from error
    return str(path)


def _failed(name: str, error: Exception) -> InputError:
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = "" if isinstance(error, SyntaxError) else f" ({last.filename}, line {last.lineno})"
    return InputError(f"--import {name!r} failed: {type(error).__name__}: {error}{where}: correct it, and import it again")
