"""The studio: a local page on which a recipe is tuned by eye, and taken away as YAML and as a command line.

    limits state        what a page may ask for          schema checking      controls, and what is wrong with a value
    shelf roi uploads   the user's pictures and masks     painter tiles        samples, painted and made small
    truth takeaway      beside real defects; files out    running              what takes longer: a render, a score
    safety server       who may ask; the addresses        static/              the page

``serve`` needs the extra ``studio``; nothing is imported from it before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from defectsynth.extras import needed

if TYPE_CHECKING:
    from collections.abc import Callable

    from defectsynth.studio.shelf import Options

__all__ = ["serve"]


def serve(options: Options, *, host: str = "127.0.0.1", port: int = 0, on_start: Callable[[str], None] | None = None) -> None:
    """Serves the page until it is interrupted.

    Args:
        options: what the page may use.
        host: the address that it listens on; any but loopback lets others of the network use it.
        port: 0 takes a free one.
        on_start: called with the page's address once it listens.

    Raises:
        InputError: the extra ``studio`` is not installed, or the address cannot be listened on.
        DefectSynthError: a folder or the recipe cannot be used.
    """
    for module in ("starlette", "uvicorn", "python_multipart"):
        needed(module, "studio", "the studio")
    from defectsynth.studio.listening import listen

    listen(options, host, port, on_start)
