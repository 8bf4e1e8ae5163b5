"""Every error that defectsynth raises on purpose.

    DefectSynthError                 exit code 1
    +-- InputError  (ValueError)     2   an array or a file that was given cannot be used
    |   +-- ImageError                   a picture: its shape, type, range or file
    |   +-- RegionError                  an ROI or a foreground: its size, or that it is empty
    +-- RecipeError (ValueError)     2   a recipe: a key, a range, a kind
    +-- PlanError   (ValueError)     2   a plan that does not belong to this picture or these sources
    +-- SourceError (ValueError)     2   an anomaly source: a missing, empty or changed folder
    |   +-- LeakageError             5   a source that shares a picture with an evaluation set
    +-- SynthesisError               6   no plan gives a visible defect inside the ROI
    +-- StorageError (OSError)       7   the output: a full disk, a folder in use
    +-- VerificationError            4   a picture on disk is not the one that its plan paints

A message holds the value, the rule that it broke and the way out.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "DefectSynthError",
    "ImageError",
    "InputError",
    "LeakageError",
    "PlanError",
    "RecipeError",
    "RegionError",
    "SourceError",
    "StorageError",
    "SynthesisError",
    "VerificationError",
]


class DefectSynthError(Exception):
    """The root of the tree; ``exit_code`` is what the command line ends with."""

    exit_code: ClassVar[int] = 1


class InputError(DefectSynthError, ValueError):
    """An array or a file that was given cannot be used."""

    exit_code = 2


class ImageError(InputError):
    """A picture whose shape, type, range or file cannot be used."""


class RegionError(InputError):
    """An ROI or a foreground that is empty, too small, or of another size than its picture."""


class RecipeError(DefectSynthError, ValueError):
    """A recipe with an unknown key, an inverted range or an unknown kind."""

    exit_code = 2


class PlanError(DefectSynthError, ValueError):
    """A plan that cannot be read, or that was drawn for another picture's size, an ROI, or other sources."""

    exit_code = 2


class SourceError(DefectSynthError, ValueError):
    """An anomaly source that is missing, empty, unreadable or changed."""

    exit_code = 2


class LeakageError(SourceError):
    """An anomaly source that shares a picture with a set that must stay unseen."""

    exit_code = 5


class SynthesisError(DefectSynthError):
    """No plan that was drawn gives a visible defect inside the ROI."""

    exit_code = 6


class StorageError(DefectSynthError, OSError):
    """The output cannot be written: a full disk, a folder in use."""

    exit_code = 7


class VerificationError(DefectSynthError):
    """A picture on disk differs from the one that its plan paints."""

    exit_code = 4
