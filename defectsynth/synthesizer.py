"""The synthesizer: draws a plan for a picture, and paints it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from defectsynth.banks import Banks, DefectBank, MaskBank, NormalBank, TextureBank
from defectsynth.camera import blur_of, is_monochrome, without_colours
from defectsynth.errors import ImageError, PlanError, RecipeError, RegionError, SynthesisError
from defectsynth.fill import Fill
from defectsynth.images import AnyImage, Mask, as_mask, bounding_box, check_image, widened_box
from defectsynth.memory import keep_freed_memory
from defectsynth.painting import Painting, copied
from defectsynth.plan import AnomalyPlan, Plan
from defectsynth.recipe import Recipe, load_recipe
from defectsynth.region import Region, Regions, region_of_plan
from defectsynth.rng import Ahead, Draws, address
from defectsynth.sample import AnomalySample
from defectsynth.site import Site
from defectsynth.sources.leakage import refuse_leakage
from defectsynth.textures import open_textures
from defectsynth.visibility import is_visible

__all__ = ["AnomalySynthesizer"]

_BANK_OPTIONS = {
    "textures": "textures=FOLDER (--textures FOLDER), or builtin:all for those that code paints",
    "defects": "defects=FOLDER (--defects FOLDER)",
    "masks": "masks=FOLDER (--masks FOLDER)",
    "normals": "normals=FOLDER, or a mapping of names to images (`render` and `preview` take --images)",
}


class AnomalySynthesizer:
    """Turns normal images into anomalous ones with pixel labels.

    Args:
        recipe: a preset's name, a YAML file, a mapping or a ``Recipe``.
        textures: folder of textures, ``builtin:<family>`` or ``builtin:all`` for those that code paints, a mapping of names to
            images, or a ``TextureBank``, for recipes with ``texture`` sources.
        defects: folder of real defects in the MVTec AD layout, or a ``DefectBank``, for recipes with ``defect`` sources.
        normals: other normal pictures of the product, for recipes that take patches from them: a folder, a mapping of names to
            images, or a ``NormalBank``.
        masks: folder of real masks, a mapping of names to masks, or a ``MaskBank``, for recipes with ``mask_file`` masks.
        seed: the dataset's seed, 0 to 2**64 - 1.
        white: the value of white in uint16 images of 10, 12 or 14 bits (1023, 4095, 16383); None for 65535, and for every other
            type.
        exclude: one folder or several whose pictures no source may share (``LeakageError`` otherwise).

    Raises:
        RecipeError: the recipe breaks a rule.
        SourceError: a bank that the recipe needs was not given, or cannot be read.

    Sample ``index`` of a seed is the same whatever was asked before, in whatever process:

    >>> import numpy as np
    >>> from defectsynth import AnomalySynthesizer
    >>> image = np.full((64, 64, 3), 128, np.uint8)
    >>> synth = AnomalySynthesizer("industrial", seed=7)
    >>> sample = synth(image, index=3, roi=np.full((64, 64), 255, np.uint8))
    >>> bool((sample.image[sample.mask == 0] == image[sample.mask == 0]).all())
    True
    """

    def __init__(
        self,
        recipe: Recipe | str | Path | Mapping[str, Any] = "industrial",
        *,
        textures: TextureBank | str | Path | Mapping[str, AnyImage] | None = None,
        defects: DefectBank | str | Path | None = None,
        normals: NormalBank | str | Path | Mapping[str, AnyImage] | None = None,
        masks: MaskBank | str | Path | Mapping[str, AnyImage] | None = None,
        seed: int = 0,
        white: int | None = None,
        exclude: str | Path | Iterable[str | Path] = (),
    ) -> None:
        self.recipe = load_recipe(recipe)
        self.seed = address("seed", seed)
        self.white = white
        self.banks = Banks(
            textures if textures is None or isinstance(textures, TextureBank) else open_textures(textures),
            defects if defects is None or isinstance(defects, DefectBank) else DefectBank(defects),
            normals if normals is None or isinstance(normals, NormalBank) else NormalBank(normals),
            masks if masks is None or isinstance(masks, MaskBank) else MaskBank(masks),
        )
        self._check_banks()
        self._check_kinds()
        folders = [exclude] if isinstance(exclude, (str, Path)) else exclude
        refuse_leakage(self.banks, [Path(folder) for folder in folders])
        self._kinds = list(self.recipe.kinds.items())
        self._weights = [kind.weight for _, kind in self._kinds]
        keep_freed_memory()
        self._ahead = Ahead(self.seed)
        self._regions = Regions(self.recipe.foreground)

    def __call__(
        self, image: AnyImage, *, index: int = 0, roi: Mask | None = None, out: AnyImage | None = None
    ) -> AnomalySample:
        """One sample.

        Args:
            image: ``(H, W)`` or ``(H, W, C)``; uint8, uint16, or float32 in [0, 1]; not written to.
            index: which sample of this seed, 0 to 2**64 - 1.
            roi: ``(H, W)``, nonzero where defects may lie; None estimates the foreground as the recipe says.
            out: an array of the image's shape and type that the sample's image is written to, for loops that use memory again;
                None makes a new one.

        Raises:
            ImageError: the image breaks the contract, or ``out`` is not such an array.
            RegionError: the ROI is empty, too small or of another size, or the foreground is not certain enough.
            SynthesisError: no plan out of ``max_attempts`` gives a visible defect.
        """
        check_image(image)
        _check_white(image, self.white)
        _check_out(out, image)
        index, shape = address("index", index), (image.shape[0], image.shape[1])
        if self._is_normal(index):
            return _normal_sample(image, Plan(seed=self.seed, index=index, shape=shape, white=self.white), out)
        region = self._regions.find(image, roi)
        self._check_size(region)
        refused: dict[str, int] = {}
        for attempt in range(self.recipe.max_attempts):
            plan = self._draw(index, attempt, shape, region.method)
            painting = self._paint(image, plan, region.mask, out)
            reason = self._refusal(painting, image, plan, region.mask)
            if reason is None:
                return painting.sample(image, plan)
            refused[reason] = refused.get(reason, 0) + 1
        raise SynthesisError(self._gave_up(index, region.mask, refused))

    def plan(self, image: AnyImage, *, index: int = 0, roi: Mask | None = None) -> Plan:
        """The plan that ``synth(image, index=index, roi=roi)`` paints; raises what that raises."""
        return self(image, index=index, roi=roi).plan

    def paint(self, image: AnyImage, plan: Plan, *, roi: Mask | None = None) -> AnomalySample:
        """Paints a plan: a pure function, the same bytes for the same picture, plan, ROI and sources.

        Raises:
            ImageError: the image breaks the contract.
            PlanError: the plan was drawn for an ROI and none is given, or names sources that are not here or have changed.
        """
        check_image(image)
        if plan.shape != image.shape[:2]:
            raise PlanError(
                f"this plan was drawn for a picture of {plan.shape} and this one is {image.shape[:2]}: resize the picture"
            )
        if not plan.anomalies:
            return _normal_sample(image, plan)
        return self._paint(image, plan, region_of_plan(image, roi, plan.foreground)).sample(image, plan)

    # --- draw -------------------------------------------------------------------------------------------------------

    def _is_normal(self, index: int) -> bool:
        fraction = self.recipe.normal_fraction
        return fraction > 0.0 and Draws(self.seed, index, ahead=self._ahead).chance("normal", fraction)

    def _draw(self, index: int, attempt: int, shape: tuple[int, int], method: str) -> Plan:
        draws = Draws(self.seed, index, attempt=attempt, ahead=self._ahead)
        count = self._draw_count(draws)
        anomalies = tuple(self._draw_anomaly(draws.within(str(position))) for position in range(count))
        return Plan.drawn(
            seed=self.seed,
            index=index,
            shape=shape,
            white=self.white,
            attempt=attempt,
            foreground=method,
            label=self.recipe.label,
            anomalies=anomalies,
        )

    def _draw_count(self, draws: Draws) -> int:
        weights = self.recipe.anomalies_per_image_weights
        if weights is None:
            return draws.integer("anomalies", self.recipe.anomalies_per_image_range)
        return self.recipe.anomalies_per_image_range[0] + draws.weighted("anomalies", weights)

    def _draw_anomaly(self, draws: Draws) -> AnomalyPlan:
        name, kind = self._kinds[draws.weighted("kind", self._weights)]
        mask = kind.mask.draw(draws.within("mask"), self.banks)
        source = kind.source.draw(draws.within("source"), self.banks, mask)
        halo = draws.uniform("halo", kind.halo_range)
        lens = draws.uniform("lens", self.recipe.lens_range)
        return AnomalyPlan.drawn(
            kind=kind.name or name,
            entry=None if kind.name is None else name,
            halo=halo,
            lens=lens,
            mask=mask,
            source=source,
            blend=kind.blend.draw(draws.within("blend")),
        )

    # --- paint ------------------------------------------------------------------------------------------------------

    def _paint(self, image: AnyImage, plan: Plan, roi: Mask, out: AnyImage | None = None) -> Painting:
        painting = Painting.of(image, out)
        for number, anomaly in enumerate(plan.anomalies, start=1):
            self._paint_anomaly(painting, plan, anomaly, roi, number)
        if not plan.label.plain:
            _relabel(painting, image, plan)
        if any(anomaly.halo > 0 for anomaly in plan.anomalies):
            painting.limit_outside(image, plan.label.outside, plan.white)
        return painting

    def _paint_anomaly(self, painting: Painting, plan: Plan, anomaly: AnomalyPlan, roi: Mask, number: int) -> None:
        """Paints one defect at its mask's pixels."""
        mask = anomaly.mask.paint(roi, self.banks)
        support = mask if anomaly.halo == 0 else _widened(mask, anomaly.halo)
        box = bounding_box(support)
        if box is None:
            return
        box = widened_box(box, anomaly.blend.margin, plan.shape)
        lens = anomaly.lens and anomaly.lens * blur_of(painting.planes, box, plan.white)
        site = Site(painting.planes, roi, support, anomaly.mask, box, self.banks, plan.white, plan.foreground, lens)
        values, degree = anomaly.blend.blend(site, Fill(anomaly.source, site))
        if lens and is_monochrome(site.image):
            values = without_colours(values)
        if support is not mask:
            degree = np.where(mask.reshape(-1).take(site.positions) != 0, degree, np.float32(0.0))
        painting.add(site.positions, values, degree, number)

    # --- accept -----------------------------------------------------------------------------------------------------

    def _refusal(self, painting: Painting, image: AnyImage, plan: Plan, roi: Mask) -> str | None:
        """Why a painted plan cannot be used, or None."""
        for number, anomaly in enumerate(plan.anomalies, start=1):
            own = painting.pixels_of(number)
            if own.size == 0:
                return "no pixel of the mask lies inside the ROI"
            if own.size < self.recipe.min_area * roi.size:
                return "the mask is smaller than min_area"
            before, after = image.reshape(painting.flat.shape), painting.flat
            if not is_visible(before, after, own, self.recipe.min_difference, plan.white):
                return "the defect cannot be seen (min_difference)"
            spec = self.recipe.kinds[anomaly.entry or anomaly.kind].mask
            if spec.controlled and not spec.accepts(painting.mask_of(number), roi):
                return "the mask misses area_range or components_range"
        return None

    def _gave_up(self, index: int, roi: Mask, refused: Mapping[str, int]) -> str:
        reasons = "; ".join(f"{count} x {reason}" for reason, count in sorted(refused.items(), key=lambda item: -item[1]))
        return (
            f"recipe {self.recipe.name!r} gave no usable defect for sample {index} in {self.recipe.max_attempts} plans, "
            f"on an ROI of {int(np.count_nonzero(roi))} out of {roi.size} pixels: {reasons}. "
            "Enlarge the ROI or the picture, or widen these ranges"
        )

    def _check_size(self, region: Region) -> None:
        smallest = self.recipe.min_area * region.mask.size
        if region.pixels < smallest:
            raise RegionError(
                f"the ROI has {region.pixels} pixels but the smallest allowed defect has {smallest:.1f} "
                f"(min_area {self.recipe.min_area:g} of the picture): enlarge the ROI or lower min_area"
            )

    def _check_kinds(self) -> None:
        for kind in self.recipe.kinds.values():
            if kind.weight > 0:
                kind.mask.check(self.banks)
                kind.source.check(self.banks)

    def _check_banks(self) -> None:
        for need in sorted(self.recipe.needs):
            if getattr(self.banks, need) is None:
                raise RecipeError(
                    f"recipe {self.recipe.name!r} draws from {need} and none were given: pass {_BANK_OPTIONS[need]}"
                )


def _widened(mask: Mask, halo: float) -> Mask:
    """The mask and what lies within ``halo`` (a fraction of the picture's side) of it."""
    box, reach = bounding_box(mask), halo * np.sqrt(mask.size)
    support = np.zeros_like(mask)
    if box is not None:
        top, left, bottom, right = widened_box(box, math.ceil(reach) + 1, (mask.shape[0], mask.shape[1]))
        window = slice(top, bottom), slice(left, right)
        support[window] = as_mask(cv2.distanceTransform(255 - mask[window], cv2.DIST_L2, cv2.DIST_MASK_5) <= reach)
    return support


def _relabel(painting: Painting, normal: AnyImage, plan: Plan) -> None:
    """The defect map by the plan's rule; what the rule leaves out gets the product's value back."""
    painting.degree, kept = plan.label.apply(painting.degree, painting.image, normal, plan.white)
    painting.give_back(normal, kept)


def _check_white(image: AnyImage, white: int | None) -> None:
    if white is None:
        return
    if image.dtype != np.uint16:
        raise ImageError(f"white is {white} but the image is {image.dtype}: leave it out, it is for uint16 images")
    if image.max() > white:
        raise ImageError(f"the image has values up to {image.max()} but white is {white}: give a larger one")


def _check_out(out: AnyImage | None, image: AnyImage) -> None:
    if out is None:
        return
    if not isinstance(out, np.ndarray) or out.shape != image.shape or out.dtype != image.dtype:
        found = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise ImageError(f"out is {found} but the image is {image.dtype} {image.shape}: give an array like the image")
    if not (out.flags.c_contiguous and out.flags.writeable) or np.may_share_memory(out, image):
        raise ImageError(
            "out is not contiguous, cannot be written to, or shares memory with the image: give np.empty_like(image)"
        )


def _normal_sample(image: AnyImage, plan: Plan, out: AnyImage | None = None) -> AnomalySample:
    shape = (image.shape[0], image.shape[1])
    nothing = np.zeros(shape, dtype=np.uint8)
    return AnomalySample(copied(image, out), nothing, np.zeros(shape, dtype=np.float32), image, plan, nothing.copy())
