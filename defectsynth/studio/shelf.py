"""What the studio was given: folders of pictures under keys, opened once; the page knows the keys and never a path."""

from __future__ import annotations

import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from defectsynth.banks import DefectBank, MaskBank, NormalBank, TextureBank
from defectsynth.canvases import Canvas, Canvases, open_canvases
from defectsynth.errors import ImageError, InputError, SourceError
from defectsynth.files import BUILTIN_PREFIX, MAX_PIXELS, find_images
from defectsynth.images import AnyImage
from defectsynth.job import Job, Task
from defectsynth.recipe import ForegroundRule, Recipe, load_recipe, preset_names
from defectsynth.region import Regions
from defectsynth.samples import PRODUCTS
from defectsynth.spec import describe
from defectsynth.studio.limits import CACHE_BYTES, PREVIEW_PIXELS, ROIS_KEPT, UPLOADS_KEPT
from defectsynth.studio.roi import mask_file, shared_names, write_roi
from defectsynth.studio.state import State, digest
from defectsynth.textures import open_textures

__all__ = ["Cache", "Options", "Shelf"]

GIVEN, REAL, UPLOAD_PREFIX = "given", "real", "upload:"
BUILTIN_TEXTURES = f"{BUILTIN_PREFIX}all"

_BANK_BYTES = 96 * 2**20
_REGION_BYTES = 48 * 2**20
_RULES = 4  # rules of the foreground whose findings are kept
_LISTINGS = 16  # folders, each with an ROI, whose names are kept
_ORDERS = 64  # orders in which a seed takes the pictures

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Options:
    """What ``defectsynth studio`` was started with; folders are absolute.

    Attributes:
        recipe: what the page opens with.
        images: folder of normal pictures, or ``builtin:<product>``; None opens on the built-in products.
        roi, textures, defects, masks: as for ``render``.
        real: real defects that the samples are compared with.
        out: where datasets go that are rendered from the page.
        white: as for ``render``.
        max_pixels: as for ``render``.
        imports: modules and files with kinds of the recipe, which have been imported.
    """

    recipe: Recipe
    images: str | None = None
    roi: str | None = None
    textures: str | None = None
    defects: str | None = None
    masks: str | None = None
    real: str | None = None
    out: str = "studio"
    white: int | None = None
    max_pixels: int = MAX_PIXELS
    imports: tuple[str, ...] = ()


class Cache(Generic[KeyT, ValueT]):
    """The values used last, up to a total weight; safe to use from several threads.

    Args:
        most: the weight.
        weigh: of one value.
        forgotten: called with each value that is not kept any more.
    """

    def __init__(
        self, most: int, weigh: Callable[[ValueT], int] = lambda _: 1, forgotten: Callable[[ValueT], None] | None = None
    ) -> None:
        self._most, self._weigh, self._held, self._forgotten = most, weigh, 0, forgotten
        self._values: OrderedDict[KeyT, ValueT] = OrderedDict()
        self._lock = Lock()

    def find(self, key: KeyT) -> ValueT | None:
        """The value of a key, or None."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def keep(self, key: KeyT, value: ValueT) -> ValueT:
        """Keeps a value, and forgets those that were not used for longest."""
        with self._lock:
            if key in self._values:
                self._held -= self._weigh(self._values.pop(key))
            self._values[key] = value
            self._held += self._weigh(value)
            while self._held > self._most and len(self._values) > 1:
                _, gone = self._values.popitem(last=False)
                self._held -= self._weigh(gone)
                if self._forgotten is not None:
                    self._forgotten(gone)
        return value

    def get(self, key: KeyT, make: Callable[[], ValueT]) -> ValueT:
        """The value of a key, made where it is not kept."""
        found = self.find(key)
        return found if found is not None else self.keep(key, make())

    def clear(self) -> None:
        """Forgets all."""
        with self._lock:
            self._values.clear()
            self._held = 0


@dataclass(frozen=True)
class Listing:
    """The pictures of one folder as they were listed last.

    Attributes:
        canvases: them.
        folder: where they lie; None for built-in products.
        outside: names that lead out of the folder and are not shown.
        stamp: changes with the names and the sizes of the files.
    """

    canvases: Canvases
    folder: Path | None
    outside: frozenset[str]
    stamp: str


class Shelf:
    """Opens what a state names.

    Args:
        options: what the studio was given.

    Raises:
        DefectSynthError: a folder is missing, holds nothing of use, or holds links that lead out of it.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self._aside = tempfile.TemporaryDirectory(prefix="defectsynth-studio-")
        self.aside = Path(self._aside.name)
        given = {} if options.images is None else {GIVEN: options.images}
        self.images = given | {f"{BUILTIN_PREFIX}{name}": f"{BUILTIN_PREFIX}{name}" for name in ("all", *PRODUCTS)}
        self.textures = ({} if options.textures is None else {GIVEN: options.textures}) | {BUILTIN_TEXTURES: BUILTIN_TEXTURES}
        self.defects = {key: folder for key, folder in ((GIVEN, options.defects), (REAL, options.real)) if folder is not None}
        self._listings: Cache[str, Listing] = Cache(_LISTINGS)
        self._orders: Cache[tuple[str, str, int, float], list[str]] = Cache(_ORDERS)
        self._canvases: Cache[tuple[str, str | None, Any, str], Canvas] = Cache(CACHE_BYTES, lambda one: one.image.nbytes)
        self._regions: Cache[str, Regions] = Cache(_RULES)
        self._normals: Cache[tuple[str, str, Any], NormalBank] = Cache(2)
        self._uploads: Cache[str, DefectBank] = Cache(UPLOADS_KEPT, forgotten=lambda bank: _remove(bank.root))
        self._rois: Cache[str, Path] = Cache(ROIS_KEPT, forgotten=_remove)
        try:
            for folder in (options.textures, options.defects, options.masks, options.real, options.roi):
                refuse_links(folder)
            self.relist()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Removes what was kept aside: ROIs and dropped pictures."""
        self._aside.cleanup()

    # --- pictures -----------------------------------------------------------------------------------------------------

    def relist(self) -> None:
        """Looks again which pictures there are; of a folder that has changed nothing is kept."""
        fresh = self._list(next(iter(self.images)))
        known = self._listings.find(next(iter(self.images)))
        if known is not None and known.stamp != fresh.stamp:
            self._canvases.clear()
            self._orders.clear()
        self._listings.keep(next(iter(self.images)), fresh)

    def listing(self, key: str) -> Listing:
        """The pictures of a folder; raises ``InputError`` for a key that there is not."""
        _known("images", key, self.images)
        return self._listings.get(key, lambda: self._list(key))

    def _list(self, key: str) -> Listing:
        images = self.images[key]
        canvases = open_canvases(images, max_pixels=self.options.max_pixels)
        folder = None if images.startswith(BUILTIN_PREFIX) else Path(images)
        outside = frozenset() if folder is None else frozenset(links_out(folder, canvases.names))
        return Listing(canvases, folder, outside, canvases.fingerprint())

    def canvas(self, state: State, name: str) -> Canvas:
        """A normal picture with its ROI, as ``render`` loads it.

        Raises:
            ImageError: it cannot be read, is too large to be shown, or lies outside of its folder.
            RegionError: its ROI cannot be used.
        """
        listing = self.listing(state.images)
        if name in listing.outside:
            raise ImageError(f"picture {name!r} is a link that leads out of its folder, so it is not shown: copy it there")
        roi = self.roi_folder(state, [name])
        key = (f"{state.images} {listing.stamp}", roi, state.size, name)
        return self._canvases.get(key, lambda: self._load(state, roi, name))

    def _load(self, state: State, roi: str | None, name: str) -> Canvas:
        most = min(self.options.max_pixels, PREVIEW_PIXELS) if state.size is None else self.options.max_pixels
        opened = open_canvases(self.images[state.images], roi=roi, size=state.size, max_pixels=most)
        return opened.load(name)

    def task(self, state: State, seed: int, index: int) -> Task:
        """The sample of an index: which picture ``render`` paints it on."""
        listing = self.listing(state.images)
        key = (state.images, listing.stamp, seed, state.train_fraction)
        names = self._orders.get(key, lambda: self._order(state, listing, seed))
        return Task("test", index, names[index % len(names)])

    def _order(self, state: State, listing: Listing, seed: int) -> list[str]:
        """The pictures that are painted on, in their order: of as many samples as pictures the job's own tasks."""
        job = self.job(state.model_copy(update={"roi": None}), count=len(listing.canvases.names), seed=seed)
        tasks = [task.canvas for task in job.tasks(listing.canvases) if task.split == "test"]
        return list(dict.fromkeys(tasks))

    # --- the ROI ------------------------------------------------------------------------------------------------------

    def roi_folder(self, state: State, names: Sequence[str]) -> str | None:
        """The folder with the ROI of these pictures, as ``--roi`` takes it.

        Raises:
            InputError: built-in products have no ROI, or two pictures would share a mask.
            RegionError: the ROI of a picture is empty, or its foreground is not certain.
        """
        if state.roi is None:
            return self.options.roi if state.images == GIVEN else None
        listing = self.listing(state.images)
        if listing.folder is None:
            raise InputError(
                "an ROI is for pictures of your own: the built-in products lie elsewhere in every picture; start with --images"
            )
        alike = shared_names(listing.canvases.names)
        if alike:
            raise InputError(f"an ROI needs a name for each picture, but {alike[0]!r} differs from another by its suffix alone")
        rule = state.parsed_recipe().foreground
        kind = digest(rule) if state.roi.base == "foreground" else ""
        name_of_roi = f"roi-{digest(state.roi)}{kind}-{listing.stamp}"
        folder = self._rois.get(name_of_roi, lambda: self.aside / name_of_roi)
        for name in names:
            if name in listing.outside:
                continue
            target = mask_file(folder, name)
            if not target.is_file():
                write_roi(state.roi, listing.folder / name, target, self.regions(rule), self.options.max_pixels)
        return str(folder)

    def regions(self, rule: ForegroundRule) -> Regions:
        """What is known of the pictures' foregrounds by a rule."""
        return self._regions.get(digest(rule), lambda: Regions(rule, remembered_bytes=_REGION_BYTES))

    # --- sources ------------------------------------------------------------------------------------------------------

    def texture_folder(self, state: State) -> str | None:
        """As ``--textures`` takes it."""
        return None if state.textures is None else _known("textures", state.textures, self.textures)

    def defect_folder(self, state: State) -> str | None:
        """As ``--defects`` takes it."""
        if state.defects is None:
            return None
        if state.defects.startswith(UPLOAD_PREFIX):
            return str(self.upload(state.defects).root)
        return _known("defects", state.defects, self.defects)

    def mask_folder(self, state: State) -> str | None:
        """As ``--masks`` takes it."""
        return self.options.masks if state.masks else None

    def upload(self, key: str) -> DefectBank:
        """Dropped pictures with masks; raises ``InputError`` where they are not kept any more."""
        found = self._uploads.find(key)
        if found is None:
            raise InputError("the defect pictures that this page was matched to are no longer kept: drop them again")
        return found

    def keep_upload(self, key: str, folder: Path) -> DefectBank:
        """Keeps dropped pictures under a key."""
        return self._uploads.get(key, lambda: DefectBank(folder, cache_bytes=_BANK_BYTES))

    @cached_property
    def given_defects(self) -> dict[str, DefectBank]:
        """The folders of real defects, by key."""
        return {key: DefectBank(folder, cache_bytes=_BANK_BYTES) for key, folder in self.defects.items()}

    @cached_property
    def _mask_bank(self) -> MaskBank | None:
        return None if self.options.masks is None else MaskBank(self.options.masks, cache_bytes=_BANK_BYTES)

    @cached_property
    def _texture_banks(self) -> dict[str, TextureBank]:
        return {}

    def banks(self, state: State, recipe: Recipe) -> dict[str, Any]:
        """The banks that a recipe needs, for ``AnomalySynthesizer``: those of ``Job.synthesizer``, opened once."""
        needs = recipe.needs
        return {
            "textures": self._texture_bank(state) if "textures" in needs else None,
            "defects": self._defect_bank(state) if "defects" in needs else None,
            "masks": self._mask_bank if "masks" in needs and state.masks else None,
            "normals": self._normal_bank(state) if "normals" in needs else None,
        }

    def _texture_bank(self, state: State) -> TextureBank | None:
        folder = self.texture_folder(state)
        if folder is None:
            return None
        if folder not in self._texture_banks:
            builtin = folder.startswith(BUILTIN_PREFIX)
            opened = open_textures(folder) if builtin else TextureBank(folder, cache_bytes=_BANK_BYTES)
            self._texture_banks[folder] = opened
        return self._texture_banks[folder]

    def _defect_bank(self, state: State) -> DefectBank | None:
        if state.defects is None:
            return None
        if state.defects.startswith(UPLOAD_PREFIX):
            return self.upload(state.defects)
        _known("defects", state.defects, self.defects)
        return self.given_defects[state.defects]

    def _normal_bank(self, state: State) -> NormalBank:
        """The pictures of the job itself, as a source of patches."""
        listing, plain = self.listing(state.images), state.model_copy(update={"roi": None})

        def read(name: str) -> tuple[AnyImage, str]:
            canvas = self.canvas(plain, name)
            return canvas.image, canvas.hash

        key = (state.images, listing.stamp, state.size)
        return self._normals.get(key, lambda: NormalBank(listing.canvases.names, read=read, cache_bytes=_BANK_BYTES))

    # --- the job ------------------------------------------------------------------------------------------------------

    def job(self, state: State, *, count: int | None = None, seed: int | None = None, roi: str | None = None) -> Job:
        """The job of a state, as ``render`` makes it of its options; ``roi`` is the folder of the ROI that was drawn."""
        listing = self.listing(state.images)
        if state.roi is None:
            roi = self.roi_folder(state, [])
        try:
            return Job(
                images=self.images[state.images],
                roi=roi,
                textures=self.texture_folder(state),
                defects=self.defect_folder(state),
                masks=self.mask_folder(state),
                count=state.count if count is None else count,
                seed=state.seed if seed is None else seed,
                size=state.size,
                white=self.options.white if listing.folder is not None else None,
                train_fraction=state.train_fraction,
                max_pixels=self.options.max_pixels,
                imports=self.options.imports,
            )
        except ValidationError as error:
            raise InputError(describe(error, Job)) from None

    def start(self) -> State:
        """What the page opens with."""
        images = next(iter(self.images)) if self.options.images is not None else f"{BUILTIN_PREFIX}disc"
        return State(
            recipe=self.options.recipe.model_dump(mode="json"),
            images=images,
            textures=next(iter(self.textures)),
            defects=GIVEN if GIVEN in self.defects else None,
            masks=self.options.masks is not None,
        )


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def preset(name: str) -> Recipe:
    """A preset by its name; raises ``RecipeError`` for another, and never opens a file."""
    _known("preset", name, dict.fromkeys(preset_names(), ""))
    return load_recipe(name)


def links_out(folder: Path, names: Sequence[str]) -> list[str]:
    """Those names whose files lie outside of the folder, since they or a folder above them are links."""
    root = folder.resolve()
    return [name for name in names if not (folder / name).resolve().is_relative_to(root)]


def refuse_links(folder: str | None) -> None:
    """Raises ``SourceError`` where a folder of sources holds links that lead out of it."""
    if folder is None or folder.startswith(BUILTIN_PREFIX) or not Path(folder).is_dir():
        return
    root = Path(folder)
    outside = links_out(root, [path.relative_to(root).as_posix() for path in find_images(root)])
    if outside:
        raise SourceError(
            f"folder {folder!r} holds links that lead out of it ({outside[0]!r} and {len(outside) - 1} more): the studio shows "
            "nothing outside of the folders that it was given; give the folder that they lead to, or copy the pictures"
        )


def _known(what: str, key: str, table: dict[str, str]) -> str:
    if key not in table:
        raise InputError(f"{what} {key!r} is not offered by this studio: choose one of {', '.join(table) or '(none)'}")
    return table[key]
