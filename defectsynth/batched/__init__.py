"""Painting whole batches of tensors at once, on the CPU or a GPU: the plans of ``AnomalySynthesizer``, with torch.

>>> from defectsynth.batched import BatchSynthesizer, supported_presets
>>> "draem-code" in supported_presets()
True
"""

from defectsynth.batched.engine import BatchSynthesizer
from defectsynth.batched.sample import BatchSample
from defectsynth.batched.support import supported_presets

__all__ = ["BatchSample", "BatchSynthesizer", "supported_presets"]
