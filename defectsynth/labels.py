"""Labels: the defect map of a picture with several defects, and the mask that follows from it.

The degree of anomaly of a pixel is the share of it that is no longer the product: the weight ``a`` of the source in the blend
(opacity times soft edge). Where defects overlap, what is left of the product is the product of what each leaves:

    defect_map = 1 - (1 - a_1)(1 - a_2)...        mask = defect_map > 0

Why the weight and not the difference that can be seen: a source that happens to resemble the product at a pixel is still a
defect there, and a regression target should not have holes that depend on chance; the weight is smooth, bounded, and means the
same at every bit depth. FPI (Tan et al. 2020) uses the same quantity as its factor.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from defectsynth.images import Mask

__all__ = ["add_degree", "mask_of"]

DefectMap = npt.NDArray[np.float32]


def add_degree(defect_map: DefectMap, degree: DefectMap) -> DefectMap:
    """The defect map after one more defect; both ``(h, w)`` float32 in [0, 1]."""
    return np.asarray(np.float32(1.0) - (np.float32(1.0) - defect_map) * (np.float32(1.0) - degree), dtype=np.float32)


def mask_of(defect_map: DefectMap) -> Mask:
    """``(H, W)`` uint8: 255 where the defect map is above zero."""
    return (defect_map > 0).view(np.uint8) * np.uint8(255)
