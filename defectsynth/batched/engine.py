"""BatchSynthesizer: the plans of ``AnomalySynthesizer``, drawn and painted for a whole batch of tensors at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from defectsynth.banks import Banks, TextureBank
from defectsynth.batched.attempts import check_regions
from defectsynth.batched.dense import DenseInRounds, DenseWay
from defectsynth.batched.indices import as_indices
from defectsynth.batched.pictures import as_regions, breaks_the_scale, check_pictures
from defectsynth.batched.planning import Planner
from defectsynth.batched.sample import BatchSample
from defectsynth.batched.sparse import SparseWay
from defectsynth.batched.support import check_supported
from defectsynth.batched.texture import TextureSource
from defectsynth.batched.textures import TextureStacks
from defectsynth.batched.watching import Watch
from defectsynth.errors import ImageError, InputError, RecipeError, RegionError
from defectsynth.images import AnyImage
from defectsynth.memory import keep_freed_memory
from defectsynth.recipe import Recipe, load_recipe
from defectsynth.rng import address
from defectsynth.sources.leakage import refuse_leakage
from defectsynth.textures import open_textures

__all__ = ["BatchSynthesizer"]

_LAYOUTS = ("nchw", "nhwc")
_WAYS = ("auto", "dense", "sparse")


class BatchSynthesizer:
    """Turns batches of normal images into anomalous ones with pixel labels: the samples of ``AnomalySynthesizer``.

    Sample ``index`` of a seed has the plan that ``AnomalySynthesizer`` draws for the same picture and ROI, in whatever batch.
    The sparse way paints the same bytes. The dense way gives the same masks and defect maps; its pictures agree within one
    level of 255 on nearly all pixels, as bilinear sampling and products of floats are rounded by other code.

    Args:
        recipe: a preset of ``supported_presets()``, a YAML file, a mapping or a ``Recipe`` of the same parts.
        textures: as for ``AnomalySynthesizer``; all of them are kept on the device, in the size of the pictures.
        seed: the dataset's seed, 0 to 2**64 - 1.
        device: where the pictures are: ``cpu``, ``cuda``, ``cuda:1``.
        layout: ``nchw`` for ``(B, C, H, W)``, in contiguous or ``channels_last`` memory; ``nhwc`` for ``(B, H, W, C)``.
        way: ``dense`` paints all pixels in fixed shapes; ``sparse``, on the CPU only, those of the masks, one picture after the
            other; ``auto`` is the faster one of the device.
        compile: true compiles the dense way with ``torch.compile``; a mapping gives its options, such as ``{"mode":
            "reduce-overhead"}``.
        capacities: the dense way off the CPU, or compiled, never waits for the device: samples whose plan is refused are drawn
            again in as many rounds as there are numbers here, at most so many in each. None for eight rounds of a quarter of
            the batch, a sixteenth, and so on, at least four.
        memory_limit: the most bytes of textures where the device is not ``cuda``; None for half of the memory.
        exclude: one folder or several whose pictures no source may share (``LeakageError`` otherwise).

    Raises:
        RecipeError: the recipe breaks a rule, or has a part that is not painted in batches.
        SourceError: the textures cannot be read.
        InputError: the device, the layout or the way is unknown.

    >>> import torch
    >>> from defectsynth.batched import BatchSynthesizer
    >>> engine = BatchSynthesizer("draem-code", textures="builtin:rust", seed=7)
    >>> images = torch.full((4, 3, 64, 64), 128, dtype=torch.uint8)
    >>> painted, masks, defect_maps, anomalous = engine(images, indices=0)
    >>> bool((painted == images)[(masks == 0)[:, None].expand_as(images)].all())
    True
    """

    def __init__(
        self,
        recipe: Recipe | str | Path | Mapping[str, Any],
        *,
        textures: TextureBank | str | Path | Mapping[str, AnyImage] | None = None,
        seed: int = 0,
        device: str | torch.device = "cpu",
        layout: Literal["nchw", "nhwc"] = "nchw",
        way: Literal["auto", "dense", "sparse"] = "auto",
        compile: bool | Mapping[str, Any] = False,
        capacities: Sequence[int] | None = None,
        memory_limit: int | None = None,
        exclude: str | Path | Iterable[str | Path] = (),
    ) -> None:
        self.recipe = load_recipe(recipe)
        self.seed = address("seed", seed)
        self.layout = _one_of("layout", layout, _LAYOUTS)
        check_supported(self.recipe)
        bank = self._bank(textures, exclude)
        self._planner = Planner(self.recipe, self.seed, 0 if bank is None else len(bank))
        self.device = _device(device)
        self._exact = self.device.type == "cpu" and compile is False and capacities is None
        self.way = _way(_one_of("way", way, _WAYS), self._exact)
        self._watch = Watch(self.device, self.recipe.name)
        self._paint: SparseWay | DenseWay | DenseInRounds
        if self.way == "sparse":
            self._paint = SparseWay(self._planner, self.recipe, bank)
        else:
            sharpens = any(isinstance(source, TextureSource) and source.sharpens for source in self._planner.sources)
            stacks = None if bank is None else TextureStacks(bank, self.device, smooth=sharpens, limit=memory_limit)
            self._paint = (
                DenseWay(self._planner, self.recipe, stacks)
                if self._exact
                else DenseInRounds(self._planner, self.recipe, stacks, self._watch, compile, capacities)
            )
        self._planner.rehearse(self.device)
        keep_freed_memory()

    def __call__(self, images: Tensor, *, indices: Tensor | Iterable[int] | int = 0, roi: Tensor | None = None) -> BatchSample:
        """The samples of a batch.

        Args:
            images: ``(B, C, H, W)`` or, with ``layout="nhwc"``, ``(B, H, W, C)``; uint8, or float32 in [0, 1]; on the engine's
                device; not written to.
            indices: which samples of the seed: ``(B,)`` int64, as many integers from 0 to 2**64 - 1, or the first of as many in
                turn.
            roi: ``(H, W)`` or ``(B, H, W)``, nonzero where defects may lie; None allows the whole picture.

        Raises:
            ImageError: the images break the contract.
            InputError: the indices do.
            RegionError: the ROI is missing, empty, too small or of another size.
            SourceError: the textures do not fit into the memory at this size.
            SynthesisError: no plan out of ``max_attempts`` gives a visible defect.

        On the CPU all of these are raised at once. On another device NaN, values outside [0, 1], an empty ROI and a sample
        without a usable plan are seen by a later call, or by ``check``.
        """
        planes = check_pictures(images, self.device, self.layout)
        numbers = as_indices(indices, len(planes), self.device)
        regions = self._regions(roi, planes)
        if self.device.type == "cpu":
            _check_scale(planes)
        with torch.no_grad():
            painted = self._paint(planes, numbers, regions)
        self._watch.look()
        return painted if self.layout == "nchw" else painted._replace(images=painted.images.permute(0, 2, 3, 1))

    def check(self) -> None:
        """Waits for the device, and raises what went wrong in the calls before.

        Raises:
            ImageError: pictures had values that are NaN or outside [0, 1].
            RegionError: an ROI was empty.
            SynthesisError: samples had no usable plan in all rounds.
        """
        self._watch.check()

    def _regions(self, roi: Tensor | None, images: Tensor) -> Tensor | None:
        method = self.recipe.foreground.method
        if roi is None and method != "none":
            raise RegionError(
                f"recipe {self.recipe.name!r} looks for the foreground (foreground: {method}), which is not found in batches: "
                "pass roi=, nonzero where defects may lie, use AnomalySynthesizer, or set foreground to none"
            )
        regions = as_regions(roi, images)
        if regions is not None and self.device.type == "cpu":
            check_regions(regions, self.recipe.min_area)
        return regions

    def _bank(
        self, textures: TextureBank | str | Path | Mapping[str, AnyImage] | None, exclude: str | Path | Iterable[str | Path]
    ) -> TextureBank | None:
        if textures is None and "textures" not in self.recipe.needs:
            return None
        if textures is None:
            raise RecipeError(
                f"recipe {self.recipe.name!r} draws from textures and none were given: pass textures=FOLDER, or builtin:all "
                "for those that code paints"
            )
        bank = textures if isinstance(textures, TextureBank) else open_textures(textures)
        folders = [exclude] if isinstance(exclude, (str, Path)) else exclude
        refuse_leakage(Banks(bank, None, None, None), [Path(folder) for folder in folders])
        return bank


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise InputError(f"{name} is {value!r}: give one of {', '.join(known)}")
    return value


def _device(device: str | torch.device) -> torch.device:
    try:
        found = torch.device(device)
    except RuntimeError:
        raise InputError(f"device is {device!r}: give cpu, cuda, or cuda:1 and so on") from None
    if found.type == "mps":
        raise InputError(
            "device is 'mps', which has no float64, that plans are drawn in: give device='cpu' and move the samples"
        )
    if found.type == "cuda" and found.index is None:
        return torch.device("cuda", torch.cuda.current_device() if torch.cuda.is_available() else 0)
    return found


def _way(way: str, exact: bool) -> str:
    if way == "auto":
        return "sparse" if exact else "dense"
    if way == "sparse" and not exact:
        raise InputError(
            "way is 'sparse', which is for the CPU, without compile and capacities: leave way out, or give way='dense'"
        )
    return way


def _check_scale(images: Tensor) -> None:
    if images.dtype == torch.float32 and bool(breaks_the_scale(images)):
        raise ImageError(
            f"images have values from {float(images.amin())} to {float(images.amax())}: float32 images lie in [0, 1]; divide "
            "by the full scale first, and replace what is not a number"
        )
