"""What was drawn for one picture: plain numbers, a few hundred bytes of JSON. Painting it is a pure function."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, SerializeAsAny, ValidationError

from defectsynth.blends import BLEND_PARAMS, BlendParams
from defectsynth.errors import PlanError
from defectsynth.labels import Label
from defectsynth.masks import MASK_PARAMS, MaskParams
from defectsynth.sources import SOURCE_PARAMS, SourceParams
from defectsynth.spec import Spec, describe

__all__ = ["AnomalyPlan", "Plan"]


class AnomalyPlan(Spec):
    """One defect.

    Attributes:
        kind: its name; the folder below ``test/``.
        entry: the recipe's entry that it was drawn from, where that has another name.
        mask: where.
        halo: how far it shows beyond its mask, as a fraction of the picture's side; see ``Label.outside``.
        lens: how much it is blurred, relative to the sharpest edges around it; 0 for not at all, and without its
            grain. See ``camera.py``.
        source: what.
        blend: how.
    """

    kind: str
    entry: str | None = None
    halo: float = Field(default=0.0, ge=0.0, le=1.0)
    lens: float = Field(default=0.0, ge=0.0, le=16.0)
    mask: Annotated[SerializeAsAny[MaskParams], MASK_PARAMS.field()]
    source: Annotated[SerializeAsAny[SourceParams], SOURCE_PARAMS.field()]
    blend: Annotated[SerializeAsAny[BlendParams], BLEND_PARAMS.field()]


class Plan(Spec):
    """One picture.

    Attributes:
        seed: the dataset's seed.
        index: the sample's index.
        shape: ``(H, W)`` of the picture that it was drawn for.
        white: the value of white in the picture, where that is not its type's full scale.
        attempt: how many plans were refused before this one, because they gave nothing to see inside the ROI.
        foreground: the method that found the ROI, or ``given`` where the caller gave it.
        label: what the defect map is.
        anomalies: the defects in the order in which they are painted; none for a normal picture.
    """

    seed: int = Field(ge=0, lt=2**64)
    index: int = Field(ge=0, lt=2**64)
    shape: tuple[int, int]
    white: int | None = Field(default=None, ge=1, le=65_535)
    attempt: int = Field(default=0, ge=0)
    foreground: str = "none"
    label: Label = Field(default_factory=Label)
    anomalies: tuple[AnomalyPlan, ...] = ()

    @property
    def kind(self) -> str:
        """``good``, the kind of its defects, or ``combined`` where they are of several."""
        kinds = {anomaly.kind for anomaly in self.anomalies}
        return "good" if not kinds else kinds.pop() if len(kinds) == 1 else "combined"

    def to_json(self) -> str:
        """One line of JSON; what has its default value is left out."""
        return self.model_dump_json(exclude_defaults=True)

    def to_dict(self) -> dict[str, Any]:
        """The same as a mapping of plain values."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan of a line of JSON.

        Raises:
            PlanError: it is not a plan; the message names each key, value and rule.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise PlanError(f"this is not a plan: {describe(error, cls)}") from None

    @classmethod
    def from_dict(cls, values: Any) -> Plan:
        """The plan of a mapping; see ``from_json``."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise PlanError(f"this is not a plan: {describe(error, cls)}") from None
