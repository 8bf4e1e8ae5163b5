"""What went wrong on a device, counted there and looked at later, so that nothing waits for it."""

from __future__ import annotations

import torch
from torch import Tensor

from defectsynth.errors import DefectSynthError, ImageError, RegionError, SynthesisError

__all__ = ["Watch"]


class Watch:
    """Counts of samples that could not be painted, and what is raised for them.

    Args:
        device: where the counts are.
        name: of the recipe.
    """

    def __init__(self, device: torch.device, name: str) -> None:
        self._name = name
        self._counts = torch.zeros(3, dtype=torch.int64, device=device)
        self._seen = torch.zeros(3, dtype=torch.int64, pin_memory=device.type == "cuda")
        self._copied: torch.cuda.Event | None = None

    def note(self, refused: Tensor, off_scale: Tensor, empty: Tensor) -> None:
        """Adds to the counts: tensors without axes, each a number of samples."""
        self._counts += torch.stack([refused.long(), off_scale.long(), empty.long()])

    def look(self) -> None:
        """Raises for what an earlier look had copied, if it is there already, and has the counts copied again."""
        if self._counts.device.type != "cuda":
            self.check()
            return
        if self._copied is not None:
            if not self._copied.query():  # type: ignore[no-untyped-call]
                return
            self._raise(self._seen.tolist())
        self._seen.copy_(self._counts, non_blocking=True)
        self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._copied.record(torch.cuda.current_stream(self._counts.device))

    def check(self) -> None:
        """Waits for the device, and raises for what the counts say."""
        self._raise(self._counts.tolist())

    def _raise(self, counts: list[int]) -> None:
        error = self._error(*counts)
        if error is not None:
            self._counts.zero_()
            self._copied = None
            raise error

    def _error(self, refused: int, off_scale: int, empty: int) -> DefectSynthError | None:
        if off_scale:
            return ImageError(
                f"{off_scale} batches had values that are NaN or outside [0, 1]: float32 images lie in [0, 1]; divide by the "
                "full scale first, and replace what is not a number"
            )
        if empty:
            return RegionError(f"{empty} samples had an empty ROI: mark at least one pixel where a defect may lie")
        if refused:
            return SynthesisError(
                f"recipe {self._name!r} gave no usable defect for {refused} samples in all of its rounds; they stayed as they "
                "were. Enlarge the ROI or the pictures, widen the recipe's ranges, or give more and larger capacities"
            )
        return None
