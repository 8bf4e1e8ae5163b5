"""Listening on an address, until an interrupt or beside other work."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread

import cv2
import uvicorn

from defectsynth.errors import InputError
from defectsynth.studio.safety import Guard
from defectsynth.studio.server import UPLOAD_PATHS, Studio
from defectsynth.studio.shelf import Options

__all__ = ["bound", "in_thread", "listen", "server_of"]


def listen(options: Options, host: str, port: int, on_start: Callable[[str], None] | None = None) -> None:
    """Serves the page; see ``studio.serve``."""
    cv2.setNumThreads(1)  # samples are painted side by side already
    with bound(host, port) as listening:
        studio = Studio(options)
        try:
            if on_start is not None:
                taken = listening.getsockname()[1]
                on_start(f"http://{f'[{host}]' if ':' in host else host}:{taken}/")
            with suppress(KeyboardInterrupt):  # uvicorn has ended by it, and raises it again
                server_of(studio, host, listening).run(sockets=[listening])
        finally:
            studio.close()


@contextmanager
def in_thread(options: Options) -> Iterator[tuple[Studio, int]]:
    """A studio that answers in a thread of this process, on a free port of loopback; and that port."""
    studio = Studio(options)
    with bound("127.0.0.1", 0) as listening:
        server = server_of(studio, "127.0.0.1", listening)
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield studio, int(listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()


def server_of(studio: Studio, host: str, listening: socket.socket) -> uvicorn.Server:
    """What answers on a socket: the studio behind its guard."""
    guard = Guard(studio.app, host=host, port=int(listening.getsockname()[1]), upload_paths=UPLOAD_PATHS)
    config = uvicorn.Config(
        guard, log_level="warning", access_log=False, server_header=False, ws="none", timeout_graceful_shutdown=2
    )
    return uvicorn.Server(config)


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens on an address; raises ``InputError`` where it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except (OSError, OverflowError) as error:
        listening.close()
        raise InputError(f"cannot listen on {host} port {port} ({error}): give another --port, or 0 for a free one") from None
    return listening
