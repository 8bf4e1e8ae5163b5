"""The detector trained on the stream of ``defectsynth``: the package is reserved; its networks are not written yet."""

from defectsynth import __version__

__all__ = ["__version__"]
