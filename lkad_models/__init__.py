"""The detector trained on the stream of ``defectsynth``: it repairs the picture, looks at what it repaired, and predicts where
the defects are, with very large convolution kernels."""

from defectsynth import __version__
from lkad_models.deep_features import TwinFeatures
from lkad_models.defect_prediction import DefectPredictionNetwork
from lkad_models.detector import LKAD, Detection, LKADConfig
from lkad_models.large_kernel import LargeKernelEncoder
from lkad_models.prediction import load
from lkad_models.reconstruction import ReconstructionNetwork

__all__ = [
    "LKAD",
    "DefectPredictionNetwork",
    "Detection",
    "LKADConfig",
    "LargeKernelEncoder",
    "ReconstructionNetwork",
    "TwinFeatures",
    "__version__",
    "load",
]
