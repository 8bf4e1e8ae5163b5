"""What the batched engine can paint: a reason for each part of a recipe that it cannot."""

from __future__ import annotations

from defectsynth.batched import blending, shuffle, texture
from defectsynth.batched.perlin import form_of
from defectsynth.blends import Linear
from defectsynth.errors import RecipeError
from defectsynth.recipe import AnomalyKind, Recipe, load_recipe, preset_names
from defectsynth.sources import Shuffle, SourceSpec, Texture

__all__ = ["check_supported", "supported_presets"]


def supported_presets() -> list[str]:
    """The names of the presets that ``BatchSynthesizer`` paints, sorted."""
    return [name for name in preset_names() if not _reasons(load_recipe(name))]


def check_supported(recipe: Recipe) -> None:
    """Refuses a recipe with a part that is not painted in batches.

    Raises:
        RecipeError: it names each of them.
    """
    reasons = _reasons(recipe)
    if reasons:
        raise RecipeError(
            f"recipe {recipe.name!r} is not painted in batches, because of {'; '.join(reasons)}: use AnomalySynthesizer, "
            f"which paints every recipe, or one of {', '.join(supported_presets())}"
        )


def _reasons(recipe: Recipe) -> list[str]:
    reasons = [f"kinds.{name}.{reason}" for name, kind in recipe.kinds.items() if kind.weight > 0 for reason in _of_kind(kind)]
    if recipe.anomalies_per_image_range != (1, 1):
        reasons.append(f"anomalies_per_image_range {list(recipe.anomalies_per_image_range)}")
    if recipe.lens_range != (0.0, 0.0):
        reasons.append(f"lens_range {list(recipe.lens_range)}")
    if recipe.label.kind not in ("degree", "binary") or recipe.label.tolerance is not None:
        reasons.append(f"label (kind {recipe.label.kind}, tolerance {recipe.label.tolerance})")
    return reasons


def _of_kind(kind: AnomalyKind) -> list[str]:
    reasons = []
    if kind.halo_range != (0.0, 0.0):
        reasons.append("halo_range")
    form = form_of(kind.mask)
    if isinstance(form, str):
        reasons.append(f"mask ({form})")
    source = _of_source(kind.source)
    if source is not None:
        reasons.append(f"source ({source})")
    blend = blending.why_not(kind.blend) if isinstance(kind.blend, Linear) else f"kind: {kind.blend.kind}"
    if blend is not None:
        reasons.append(f"blend ({blend})")
    return reasons


def _of_source(source: SourceSpec) -> str | None:
    if isinstance(source, Texture):
        return texture.why_not(source)
    return shuffle.why_not(source) if isinstance(source, Shuffle) else f"kind: {source.kind}"
