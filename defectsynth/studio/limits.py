"""What a page may ask for at most; all numbers are chosen here."""

from __future__ import annotations

__all__ = [
    "BODY_BYTES",
    "CACHE_BYTES",
    "GRID",
    "LARGEST_COUNT",
    "LARGEST_SEED",
    "LARGEST_TILE",
    "PINS",
    "PREVIEW_PIXELS",
    "ROIS_KEPT",
    "RUNS_AT_A_TIME",
    "RUNS_KEPT",
    "SECONDS_PER_SAMPLE",
    "STATISTICS",
    "STROKES",
    "STROKE_POINTS",
    "UPLOADS_KEPT",
    "UPLOAD_BYTES",
    "UPLOAD_FILES",
    "UPLOAD_PIXELS",
]

GRID = 12
"""Samples of the grid."""
PINS = 12
"""Samples that are pinned at a time."""
LARGEST_TILE = 640
"""Longest side of a sample's picture in the grid, in pixels."""
LARGEST_SEED = 2**53 - 1
"""The largest whole number that JavaScript keeps."""
LARGEST_COUNT = 1_000_000
"""Pictures of a render that is started from the page."""
PREVIEW_PIXELS = 40_000_000
"""Pixels of a picture that is painted for the page."""
SECONDS_PER_SAMPLE = 20.0
"""After which a sample that finds no usable plan is given up in the grid (``render`` has no such limit)."""
STATISTICS = 48
"""Samples that are measured beside the real defects."""
CACHE_BYTES = 128 * 2**20
"""Painted samples, and again decoded normal pictures, that are kept."""

BODY_BYTES = 2 * 2**20
"""Bytes of a request in JSON."""
STROKES = 400
"""Strokes of an ROI."""
STROKE_POINTS = 2_000
"""Points of a stroke."""
UPLOAD_BYTES = 64 * 2**20
"""Bytes of all files that are dropped at a time."""
UPLOAD_FILES = 100
"""Files that are dropped at a time: 50 pictures and their masks."""
UPLOAD_PIXELS = 25_000_000
"""Pixels of a picture that is dropped."""
ROIS_KEPT = 64
"""ROIs whose masks are kept on disk; the longest unused goes first."""
UPLOADS_KEPT = 16
"""Sets of dropped pictures that are kept; the longest unused goes first."""

RUNS_AT_A_TIME = 2
"""Renders and scores that run side by side."""
RUNS_KEPT = 32
"""Runs, finished ones too, that can be asked for."""
