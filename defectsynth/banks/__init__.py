"""Banks of anomaly sources: textures, real defects, masks and other normal pictures, decoded once, in a bounded cache."""

from defectsynth.banks.cache import CACHE_BYTES
from defectsynth.banks.defects import Defect, DefectBank
from defectsynth.banks.given import PLAN_HASH_DIGITS, Banks
from defectsynth.banks.masks import MaskBank
from defectsynth.banks.normals import NormalBank
from defectsynth.banks.textures import TextureBank

__all__ = ["CACHE_BYTES", "PLAN_HASH_DIGITS", "Banks", "Defect", "DefectBank", "MaskBank", "NormalBank", "TextureBank"]
