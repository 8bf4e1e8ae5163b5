"""The studio's addresses: the page's files from a fixed table, and JSON or pictures for what it asks."""

from __future__ import annotations

import asyncio
import json
import logging
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib import resources
from threading import Event
from typing import Any, TypeVar

import numpy as np
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from defectsynth import __version__
from defectsynth.errors import DefectSynthError, InputError
from defectsynth.foreground import estimate_foreground
from defectsynth.images import to_rgb8
from defectsynth.pool import available_cores
from defectsynth.recipe import Recipe
from defectsynth.studio import limits, uploads
from defectsynth.studio.checking import complaints
from defectsynth.studio.painter import Painter, Stopped, Written
from defectsynth.studio.running import Runs
from defectsynth.studio.schema import schema
from defectsynth.studio.shelf import GIVEN, REAL, Options, Shelf, preset
from defectsynth.studio.state import Place, SamplesWanted, State, parse
from defectsynth.studio.takeaway import bundle, command, render_state, yaml_text
from defectsynth.studio.tiles import heat, outline, png, sample_tile
from defectsynth.studio.truth import Truth

__all__ = ["UPLOAD_PATHS", "Studio"]

UPLOAD_PATHS = ("/api/match",)

_STATIC = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/studio.css": ("studio.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
} | {
    f"/js/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8")
    for name in ("main", "api", "dom", "state", "controls", "grid", "enlarge", "roi", "truth", "out", "match")
}

_LOG = logging.getLogger("uvicorn.error")
ResultT = TypeVar("ResultT")
Answer = Callable[[Any], Awaitable[Response]]


class Studio:
    """The application, and what it keeps while it is served.

    Args:
        options: what the page may use.

    Raises:
        DefectSynthError: a folder or the recipe cannot be used.
    """

    def __init__(self, options: Options) -> None:
        self.shelf = Shelf(options)
        self.painter = Painter(self.shelf)
        self.truth = Truth(self.shelf, self.painter)
        self.runs = Runs()
        self._pool = ThreadPoolExecutor(max(2, available_cores()), thread_name_prefix="paint")
        self.app = Starlette(
            routes=[*_static_routes(), *self._routes()],
            exception_handlers={
                DefectSynthError: _told,
                HTTPException: _http_told,
                ClientDisconnect: _gone,
                Stopped: _gone,
                Exception: _unexpected,
            },
            lifespan=self._lifespan,
        )

    def close(self) -> None:
        """Ends what runs, and removes what was kept aside."""
        self.runs.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.shelf.close()

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(self.close)

    def _routes(self) -> list[Route]:
        posts: dict[str, Answer] = {
            "check": self._check,
            "samples": self._samples,
            "sample": self._sample,
            "foreground": self._foreground,
            "stats": self._stats,
            "score": self._score,
            "match-real": self._match_real,
            "yaml": self._yaml,
            "open": self._open,
            "command": self._command,
            "bundle": self._bundle,
            "render": self._render,
        }
        return [
            Route("/api/setup", self._setup),
            Route("/api/schema", _schema),
            Route("/api/preset/{name}", _preset),
            Route("/api/runs/{name}", self._run),
            Route("/api/runs/{name}/cancel", self._cancel, methods=["POST"]),
            Route("/api/match", self._match, methods=["POST"]),
            *(Route(f"/api/{name}", _with_json(answer), methods=["POST"]) for name, answer in posts.items()),
        ]

    # --- what there is ------------------------------------------------------------------------------------------------

    async def _setup(self, _: Request) -> Response:
        return _json(await asyncio.to_thread(self._setup_values))

    def _setup_values(self) -> dict[str, Any]:
        self.shelf.relist()
        shelf, options = self.shelf, self.shelf.options
        first = next(iter(shelf.images))
        listing = shelf.listing(first)
        return {
            "version": __version__,
            "images": [{"key": key, "label": _label(key, folder)} for key, folder in shelf.images.items()],
            "given": None if first != GIVEN else {"count": len(listing.canvases.names), "hidden": len(listing.outside)},
            "textures": [{"key": key, "label": _label(key, folder)} for key, folder in shelf.textures.items()],
            "defects": [{"key": key, "label": _label(key, folder)} for key, folder in shelf.defects.items()],
            "masks": options.masks is not None,
            "roi": options.roi is not None,
            "real": self.truth.kinds if REAL in shelf.defects else None,
            "out": options.out,
            "start": shelf.start().model_dump(mode="json"),
            "limits": {"files": limits.UPLOAD_FILES, "bytes": limits.UPLOAD_BYTES, "pins": limits.PINS, "grid": limits.GRID},
        }

    # --- samples ------------------------------------------------------------------------------------------------------

    async def _check(self, values: Any) -> Response:
        recipe = _part(values, "recipe", dict)
        found = await asyncio.to_thread(complaints, recipe)
        return _json({"complaints": [{"path": list(one.path), "message": one.message} for one in found]})

    async def _samples(self, values: Any) -> Response:
        """Samples as they are done, each a length, a line of JSON, and the bytes of its pictures."""
        wanted: SamplesWanted = parse(SamplesWanted, values)
        written = await asyncio.to_thread(lambda: Written.of(wanted.state.parsed_recipe()))
        stop = Event()
        futures = [self._pool.submit(self._frame, wanted, written, place, stop) for place in wanted.places]
        return StreamingResponse(
            _as_they_come(futures, stop), media_type="application/octet-stream", headers={"cache-control": "no-store"}
        )

    def _frame(self, wanted: SamplesWanted, written: Written, place: Place, stop: Event) -> bytes:
        told: dict[str, Any] = {"seed": place.seed, "index": place.index}
        blobs: list[bytes] = []
        try:
            painted = self.painter.paint(wanted.state, written, place, stop)
            sample = painted.sample
            height, width = sample.mask.shape
            told |= {
                "name": painted.canvas.name,
                "kind": sample.plan.kind,
                "shape": [height, width],
                "area": float(np.count_nonzero(sample.mask)) / sample.mask.size,
                "attempt": sample.plan.attempt,
                "foreground": sample.plan.foreground,
                "milliseconds": round(1000 * painted.seconds, 1),
                "outline": outline(sample.mask, wanted.tile) if sample.is_anomalous else [],
                "pictures": [],
            }
            for view in wanted.views:
                data, kind = sample_tile(sample, view, wanted.tile)
                told["pictures"].append({"view": view, "type": kind, "bytes": len(data)})
                blobs.append(data)
        except DefectSynthError as error:
            told["error"] = str(error)
        except Stopped:
            raise
        except Exception as error:  # the other samples are shown all the same
            _LOG.exception("sample %d of seed %d", place.index, place.seed)
            told["error"], blobs = _mistake(error), []
            told.pop("pictures", None)
        line = json.dumps(told, separators=(",", ":")).encode()
        return b"".join([struct.pack(">I", len(line)), line, *blobs])

    async def _sample(self, values: Any) -> Response:
        """One picture of a sample at full size; ``file`` has the very bytes that ``render`` writes."""
        state: State = parse(State, _part(values, "state", dict))
        place: Place = parse(Place, _part(values, "place", dict))
        form = str(values.get("form", "view"))
        data, kind, headers = await self._paint_aside(self._picture, state, place, form)
        return Response(data, media_type=kind, headers={"cache-control": "no-store", **headers})

    def _picture(self, state: State, place: Place, form: str, stop: Event) -> tuple[bytes, str, dict[str, str]]:
        if form in ("normal", "roi"):
            task = self.shelf.task(state, place.seed, place.index)
            canvas = self.shelf.canvas(state, task.canvas)
            if form == "normal":
                return png(to_rgb8(canvas.image, self.shelf.options.white)), "image/png", {}
            if canvas.roi is None:
                raise InputError("no ROI was drawn and none was given: the recipe's foreground says where defects may lie")
            return png(canvas.roi), "image/png", {}
        painted = self.painter.paint(state, Written.of(state.parsed_recipe()), place, stop)
        sample = painted.sample
        if form == "file":
            image = painted.canvas.with_alpha(sample.image)
            encoding = self.shelf.job(state.model_copy(update={"roi": None})).encoding
            suffix = encoding.suffix(image)
            name = f"test/{sample.plan.kind}/{place.index:06d}{suffix}"
            return encoding.encode(image), "image/png" if suffix == ".png" else "application/octet-stream", {"x-file": name}
        if form == "plan":
            return sample.plan.to_json().encode(), "application/json", {}
        if form == "view":
            return png(to_rgb8(sample.image, sample.plan.white)), "image/png", {}
        if form == "mask":
            return png(sample.mask), "image/png", {}
        if form == "map":
            return png(heat(sample.defect_map)), "image/png", {}
        raise InputError(f"form {form!r} is not known: ask for one of view, normal, mask, map, roi, file, plan")

    async def _foreground(self, values: Any) -> Response:
        """Where the product is in a sample's normal picture: a mask as PNG, and how sure that is in a header."""
        state: State = parse(State, _part(values, "state", dict))
        place: Place = parse(Place, _part(values, "place", dict))
        method = str(values.get("method", "auto"))

        def find(stop: Event) -> tuple[bytes, dict[str, str]]:
            plain = state.model_copy(update={"roi": None})
            task = self.shelf.task(plain, place.seed, place.index)
            found = estimate_foreground(self.shelf.canvas(plain, task.canvas).image, method)
            told = {"method": found.method, "confidence": round(found.confidence, 3), "fills_frame": found.fills_frame}
            return png(found.mask), {"x-foreground": json.dumps(told)}

        data, headers = await self._paint_aside(find)
        return Response(data, media_type="image/png", headers={"cache-control": "no-store", **headers})

    # --- the truth ----------------------------------------------------------------------------------------------------

    async def _stats(self, values: Any) -> Response:
        state: State = parse(State, _part(values, "state", dict))
        return _json(await self._paint_aside(self.truth.statistics, state, _kinds(values)))

    async def _score(self, values: Any) -> Response:
        state: State = parse(State, _part(values, "state", dict))
        work = await asyncio.to_thread(self.truth.score, state, _kinds(values))
        return _json(self.runs.start("score", work).to_dict())

    async def _match_real(self, values: Any) -> Response:
        key = str(values.get("defects", REAL))
        banks = self.shelf.given_defects
        if key not in banks:
            raise InputError("there are no real defects to match: start with --real FOLDER, or drop pictures and masks")
        found = await asyncio.to_thread(uploads.match_bank, banks[key], _kinds(values))
        return _json({"defects": key, **found})

    async def _match(self, request: Request) -> Response:
        async with request.form(max_files=limits.UPLOAD_FILES, max_fields=8, max_part_size=1024) as form:
            kind = str(form.get("kind", "defect"))
            files = {
                name: [
                    uploads.Upload(one.filename or "", await one.read())
                    for one in form.getlist(name)
                    if isinstance(one, UploadFile)
                ]
                for name in ("pictures", "masks")
            }

        def work() -> dict[str, Any]:
            key = uploads.keep_uploads(self.shelf, kind, files["pictures"], files["masks"])
            return {"defects": key, **uploads.match_bank(self.shelf.upload(key))}

        return _json(await asyncio.to_thread(work))

    # --- what is taken away -------------------------------------------------------------------------------------------

    async def _yaml(self, values: Any) -> Response:
        return _json({"yaml": await asyncio.to_thread(yaml_text, parse(State, _part(values, "state", dict)))})

    async def _open(self, values: Any) -> Response:
        recipe = await asyncio.to_thread(Recipe.from_yaml, _part(values, "yaml", str), str(values.get("name", "recipe")))
        return _json({"recipe": recipe.model_dump(mode="json")})

    async def _command(self, values: Any) -> Response:
        told = await asyncio.to_thread(command, self.shelf, parse(State, _part(values, "state", dict)))
        return _json({"command": told.line, "files": list(told.files)})

    async def _bundle(self, values: Any) -> Response:
        data = await asyncio.to_thread(bundle, self.shelf, parse(State, _part(values, "state", dict)))
        return Response(data, media_type="application/zip", headers={"cache-control": "no-store"})

    async def _render(self, values: Any) -> Response:
        state: State = parse(State, _part(values, "state", dict))
        work = await asyncio.to_thread(render_state, self.shelf, state, _part(values, "name", str))
        return _json(self.runs.start("render", work).to_dict())

    async def _run(self, request: Request) -> Response:
        return _json(self.runs.find(request.path_params["name"]).to_dict())

    async def _cancel(self, request: Request) -> Response:
        run = self.runs.find(request.path_params["name"])
        run.stop.set()
        return _json(run.to_dict())

    async def _paint_aside(self, work: Callable[..., ResultT], *arguments: Any) -> ResultT:
        """Work in a thread that is told to stop when nobody waits for it any more."""
        stop = Event()
        try:
            return await asyncio.wrap_future(self._pool.submit(work, *arguments, stop))
        finally:
            stop.set()


async def _as_they_come(futures: Sequence[Future[bytes]], stop: Event) -> AsyncIterator[bytes]:
    """Frames in the order in which they are done; where the page has gone, what has not begun is given up."""
    try:
        for done in asyncio.as_completed([asyncio.wrap_future(one) for one in futures]):
            try:
                yield await done
            except Stopped:
                return
    finally:
        stop.set()
        for one in futures:
            one.cancel()


async def _schema(_: Request) -> Response:
    return _json(await asyncio.to_thread(schema))


async def _preset(request: Request) -> Response:
    recipe = await asyncio.to_thread(preset, request.path_params["name"])
    return _json({"recipe": recipe.model_dump(mode="json")})


def _static_routes() -> list[Route]:
    """The page's files, read once; nothing else of the disk has an address."""
    folder = resources.files("defectsynth.studio") / "static"

    def route(path: str, data: bytes, kind: str) -> Route:
        async def give(_: Request) -> Response:
            return Response(data, media_type=kind, headers={"cache-control": "no-cache"})

        return Route(path, give)

    return [route(path, (folder / name).read_bytes(), kind) for path, (name, kind) in _STATIC.items()]


def _with_json(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def read(request: Request) -> Response:
        try:
            values = json.loads(await request.body())
        except (ValueError, RecursionError) as error:
            raise InputError(f"this request is not JSON ({error}): load the page again") from None
        if not isinstance(values, dict):
            raise InputError(f"this request is a {type(values).__name__}: send a mapping")
        return await answer(values)

    return read


def _part(values: Any, name: str, kind: type[ResultT]) -> ResultT:
    found = values.get(name)
    if not isinstance(found, kind):
        raise InputError(f"{name} is {found!r:.80}: send a {kind.__name__}")
    return found


def _kinds(values: Any) -> list[str] | None:
    kinds = values.get("kinds") or None
    if kinds is not None and (not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds)):
        raise InputError(f"kinds is {kinds!r:.80}: send a list of names")
    return kinds


def _label(key: str, folder: str) -> str:
    return folder if key in (GIVEN, REAL) else key


def _json(values: Any, status: int = 200) -> JSONResponse:
    return JSONResponse(values, status_code=status, headers={"cache-control": "no-store"})


async def _told(_: Request, error: Exception) -> Response:
    return _json({"error": str(error)}, 422)


async def _http_told(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    told = "there is nothing at this address" if error.status_code == 404 else str(error.detail)
    return _json({"error": told}, error.status_code)


async def _gone(_: Request, __: Exception) -> Response:
    return _json({"error": "nobody waited for this answer"}, 499)


async def _unexpected(_: Request, error: Exception) -> Response:
    return _json({"error": _mistake(error)}, 500)


def _mistake(error: Exception) -> str:
    return f"this is a mistake of the studio's ({type(error).__name__}); its terminal says more"
