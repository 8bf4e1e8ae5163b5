"""How a painted picture becomes a file: PNG, which keeps every bit, or JPEG and WebP, which do not."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from defectsynth.errors import ImageError
from defectsynth.files import PNG_LEVEL, encode_image, lossless_suffix
from defectsynth.images import AnyImage

__all__ = ["LOSSLESS", "QUALITY", "Encoding", "ImageFormat", "digest"]

ImageFormat = Literal["png", "jpg", "webp"]
QUALITY = 95
"""Of JPEG and WebP where none is given."""
_LONGEST_SIDE = {"jpg": 65_500, "webp": 16_383}  # what the encoders take, in pixels


@dataclass(frozen=True, slots=True)
class Encoding:
    """What the pictures of a dataset are written as; masks are PNG whatever it says.

    Attributes:
        format: ``png`` (lossless; ``.npy`` where a PNG cannot hold the picture), ``jpg`` or ``webp`` (lossy).
        png_level: 0 (not compressed) to 9; see ``files.encode_image``. Of no effect on lossy pictures.
        quality: 1 to 100, of lossy pictures. Of no effect on PNG.
    """

    format: ImageFormat = "png"
    png_level: int = PNG_LEVEL
    quality: int = QUALITY

    @property
    def lossless(self) -> bool:
        """Whether a file holds every pixel as it was painted."""
        return self.format == "png"

    def suffix(self, image: AnyImage) -> str:
        """The suffix of the file of a picture."""
        return lossless_suffix(image) if self.lossless else f".{self.format}"

    def encode(self, image: AnyImage) -> bytes:
        """The bytes of a picture's file; the same bytes for the same picture and the same version of OpenCV.

        Raises:
            ImageError: the format is lossy and cannot hold the picture.
        """
        if self.lossless:
            return encode_image(image, lossless_suffix(image), png_level=self.png_level)
        self.check(image.shape, image.dtype, "a picture")
        return encode_image(image, f".{self.format}", quality=self.quality)

    def check(self, shape: tuple[int, ...], dtype: np.dtype[np.generic] | type[np.generic], name: str) -> None:
        """Whether the format can hold a picture ``(H, W)`` or ``(H, W, C)``, C with alpha.

        Raises:
            ImageError: the format is lossy, and the picture is not 8-bit, has neither 1 nor 3 channels, or is too large.
        """
        if self.lossless:
            return
        channels = 1 if len(shape) == 2 else shape[2]
        if np.dtype(dtype) != np.uint8 or channels not in (1, 3):
            raise ImageError(
                f"{name} is {np.dtype(dtype)} with {channels} channel{'s' * (channels != 1)}, and {self.format} holds 8-bit "
                "pictures of 1 or 3 channels without alpha: render with image format png, or convert the normal pictures first"
            )
        longest = _LONGEST_SIDE[self.format]
        if max(shape[:2]) > longest:
            raise ImageError(
                f"{name} is {shape[1]} x {shape[0]} pixels, and {self.format} holds at most {longest:,} along a side: "
                "render with image format png, or at a smaller size"
            )


LOSSLESS = Encoding()
"""PNG at the default level."""


def digest(data: bytes | AnyImage) -> str:
    """32 hexadecimal digits of a file's bytes, or of a picture's shape, type and pixels."""
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()[:32]
    planes = data if data.ndim == 3 else data[:, :, None]
    found = hashlib.sha256(f"{planes.shape} {planes.dtype}".encode())
    found.update(np.ascontiguousarray(planes).data)
    return found.hexdigest()[:32]
