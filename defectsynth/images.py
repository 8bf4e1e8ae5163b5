"""Pictures as arrays: reading and writing files, checking, converting between types and channel counts.

An ``image`` is ``(H, W)`` or ``(H, W, C)``: uint8, uint16, or float32 in [0, 1]; any H, W, C from 1 up; RGB order when C = 3.
Files with an alpha channel are read with it (``split_alpha`` takes it off); ``.npy`` files hold what no picture format can
(more than four channels, colour float32).
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from defectsynth.errors import ImageError, StorageError

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "AnyImage",
    "Mask",
    "bounding_box",
    "check_image",
    "content_hash",
    "convert",
    "list_images",
    "luminance",
    "read_image",
    "read_mask",
    "resize_image",
    "resize_mask",
    "split_alpha",
    "to_float",
    "to_rgb8",
    "write_bytes",
    "write_image",
]

AnyImage = npt.NDArray[Any]
Mask = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".npy"})
MAX_PIXELS = 178_956_970
"""Largest picture that is decoded (Pillow's own limit); a header that claims more is refused before any memory is taken."""

_FULL_SCALE = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0, np.dtype(np.float32): 1.0}
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601, as PIL and OpenCV


# --- arrays ---------------------------------------------------------------------------------------------------------


def check_image(image: Any, name: str = "image") -> AnyImage:
    """The array itself if it keeps the contract of an ``image``; otherwise an ``ImageError`` that says which rule it broke."""
    if not isinstance(image, np.ndarray):
        raise ImageError(
            f"{name} is a {type(image).__name__}: give a numpy array (H, W) or (H, W, C), e.g. np.asarray(picture)"
        )
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise ImageError(f"{name} has shape {image.shape}: give (H, W) or (H, W, C) with every side at least 1")
    if image.dtype not in _FULL_SCALE:
        raise ImageError(f"{name} has dtype {image.dtype}: give uint8, uint16, or float32 in [0, 1] (image.astype(np.float32))")
    if image.dtype == np.float32:
        low, high = float(image.min()), float(image.max())
        if not (low >= 0.0 and high <= 1.0):
            raise ImageError(
                f"{name} has values from {low} to {high}: float32 images lie in [0, 1]; divide by the full scale first"
            )
    return image


def full_scale(dtype: npt.DTypeLike) -> float:
    """The value of white: 255, 65535 or 1."""
    return _FULL_SCALE[np.dtype(dtype)]


def to_float(image: AnyImage) -> npt.NDArray[np.float32]:
    """Float32 in [0, 1], same shape."""
    if image.dtype == np.float32:
        return image
    return image.astype(np.float32) / np.float32(full_scale(image.dtype))


def luminance(image: AnyImage) -> npt.NDArray[np.float32]:
    """``(H, W)`` float32 in [0, 1]: BT.601 weights for three channels, the mean for any other number."""
    values = to_float(image)
    if values.ndim == 2:
        return values
    if values.shape[2] == 3:
        return np.asarray(values @ _LUMA, dtype=np.float32)
    return np.asarray(values.mean(axis=2), dtype=np.float32)


def convert(image: AnyImage, dtype: npt.DTypeLike, channels: int | None) -> AnyImage:
    """The same picture as another type and channel count.

    Args:
        image: any image.
        dtype: uint8, uint16 or float32.
        channels: None for ``(H, W)``; 1 for ``(H, W, 1)`` (luminance); 3 and more take the channels in turn (a fifth band gets
            the second channel), because a picture of light has nothing better to say of an infrared band.
    """
    planes: AnyImage = image if image.ndim == 3 else image[:, :, None]
    if channels in (None, 1):
        if planes.shape[2] > 1:
            planes = _from_float(luminance(planes), planes.dtype)[:, :, None]
    elif planes.shape[2] != channels:
        planes = np.take(planes, [channel % planes.shape[2] for channel in range(channels or 1)], axis=2)
    result = planes if planes.dtype == np.dtype(dtype) else _from_float(to_float(planes), dtype)
    return np.ascontiguousarray(result[:, :, 0] if channels is None else result)


def _from_float(values: npt.NDArray[np.float32], dtype: npt.DTypeLike) -> AnyImage:
    if np.dtype(dtype) == np.float32:
        return values
    return np.rint(values * np.float32(full_scale(dtype))).astype(dtype)


def to_rgb8(image: AnyImage) -> npt.NDArray[np.uint8]:
    """``(H, W, 3)`` uint8, for looking at: two- and four-channel images lose their last channel (alpha)."""
    if image.ndim == 3 and image.shape[2] in (2, 4):
        image = image[:, :, :-1]
    if image.ndim == 3 and image.shape[2] > 3:
        image = image[:, :, :3]
    return convert(image, np.uint8, 3)


def bounding_box(mask: npt.NDArray[Any]) -> Box | None:
    """``(top, left, bottom, right)`` of the pixels that are not zero, ends excluded; None where there is none."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8) if mask.dtype == np.bool_ else mask)
    return None if width == 0 else (top, left, top + height, left + width)


def resize_image(image: AnyImage, shape: tuple[int, int]) -> AnyImage:
    """``shape = (H, W)``: area averaging when both sides shrink, bilinear otherwise; type and channels stay."""
    if image.shape[:2] == shape:
        return image
    shrinks = shape[0] <= image.shape[0] and shape[1] <= image.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    planes = image if image.ndim == 3 else image[:, :, None]
    groups = [planes[:, :, start : start + 4] for start in range(0, planes.shape[2], 4)]
    resized = [cv2.resize(np.ascontiguousarray(group), shape[::-1], interpolation=interpolation) for group in groups]
    result = np.concatenate([group.reshape(*shape, -1) for group in resized], axis=2)
    return result[:, :, 0] if image.ndim == 2 else result


def resize_mask(mask: Mask, shape: tuple[int, int]) -> Mask:
    """``shape = (H, W)``, 0 or 255: a pixel is set where at least half of its area was."""
    return np.where(resize_image(mask, shape) >= 128, np.uint8(255), np.uint8(0))


def split_alpha(image: AnyImage) -> tuple[AnyImage, AnyImage | None]:
    """The colour of a picture that was read from a file with two or four channels, and its alpha ``(H, W, 1)``."""
    if image.ndim == 2 or image.shape[2] not in (2, 4):
        return image, None
    colour = image[:, :, :-1]
    return np.ascontiguousarray(colour[:, :, 0] if colour.shape[2] == 1 else colour), image[:, :, -1:]


def content_hash(image: AnyImage) -> str:
    """32 hexadecimal digits of what is seen, whatever the file's name or format.

    The picture is taken as 8-bit RGB, without alpha, and as one channel where its three are equal; so a PNG, a BMP and a grey
    picture saved as RGB agree. A picture that was resized, or compressed again with loss, is another picture.
    """
    rgb = to_rgb8(image)
    if (rgb[:, :, 0] == rgb[:, :, 1]).all() and (rgb[:, :, 0] == rgb[:, :, 2]).all():
        rgb = np.ascontiguousarray(rgb[:, :, :1])
    digest = hashlib.sha256(repr(rgb.shape).encode())
    digest.update(rgb.tobytes())
    return digest.hexdigest()[:32]


# --- files ----------------------------------------------------------------------------------------------------------


def list_images(folder: Path, what: str = "image") -> list[Path]:
    """The picture files below ``folder``, sorted by relative path; hidden files are left out.

    Raises:
        ImageError: the folder is missing, is a file, or holds no picture.
    """
    if not folder.exists():
        raise ImageError(f"{what} folder {str(folder)!r} does not exist: check the path")
    if not folder.is_dir():
        raise ImageError(f"{what} folder {str(folder)!r} is a file: give the folder that holds the pictures")
    found = [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and not path.name.startswith(".")
    ]
    if not found:
        kinds = " ".join(sorted(IMAGE_SUFFIXES))
        raise ImageError(f"{what} folder {str(folder)!r} holds no pictures: it needs files that end in {kinds}")
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> AnyImage:
    """One picture file as an image, with its alpha if it has one; 16 bits stay 16 bits; EXIF rotation is applied.

    Raises:
        ImageError: the file is missing, truncated, not a picture, or larger than ``max_pixels``.
    """
    try:
        if path.suffix.lower() == ".npy":
            return _read_npy(path)
        with Image.open(path) as picture:
            _check_pixels(path, picture.size, max_pixels)
            if _needs_opencv(path, picture):
                return _read_with_opencv(path)
            return _read_with_pillow(picture)
    except FileNotFoundError:
        raise ImageError(f"picture {str(path)!r} does not exist: check the path") from None
    except Image.DecompressionBombError as error:
        claimed = re.search(r"\d+", str(error))
        raise ImageError(_too_large(path, claimed.group() if claimed else "too many", max_pixels)) from None
    except UnidentifiedImageError:
        raise ImageError(f"picture {str(path)!r} is not a picture that can be read: remove it or save it again") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"picture {str(path)!r} is damaged ({error}): remove it or save it again") from None


def read_mask(path: Path, *, max_pixels: int = MAX_PIXELS) -> Mask:
    """One mask file as ``(H, W)`` uint8, 0 or 255: set where its first channel is at least half of full scale.

    A file whose largest value is 1 (a label image) counts as set where it is 1.
    """
    image = read_image(path, max_pixels=max_pixels)
    plane = image if image.ndim == 2 else image[:, :, 0]
    top = float(plane.max())
    limit = 1.0 if plane.dtype != np.float32 and top == 1 else full_scale(plane.dtype) / 2
    return np.where(plane >= limit, np.uint8(255), np.uint8(0))


def write_image(path: Path, image: AnyImage) -> None:
    """Writes a picture under a temporary name and renames it; the format follows the suffix (``.png``, ``.npy``, ...)."""
    write_bytes(path, encode_image(image, path.suffix.lower()))


def encode_image(image: AnyImage, suffix: str) -> bytes:
    """The bytes of a picture file; the same bytes for the same image."""
    if suffix == ".npy":
        return _npy_bytes(image)
    planes = image if image.ndim == 3 else image[:, :, None]
    channels = planes.shape[2]
    if channels == 2:
        return _encode_gray_alpha(planes, suffix)
    if channels not in (1, 3, 4) or image.dtype == np.float32:
        raise StorageError(f"an image {image.shape} {image.dtype} does not fit into {suffix}: write it as .npy")
    if channels >= 3:
        planes = cv2.cvtColor(planes, cv2.COLOR_RGB2BGR if channels == 3 else cv2.COLOR_RGBA2BGRA)
    done, encoded = cv2.imencode(suffix, np.ascontiguousarray(planes))
    if not done:
        raise StorageError(f"an image {image.shape} {image.dtype} cannot be encoded as {suffix}: write it as .png")
    return encoded.tobytes()


def lossless_suffix(image: AnyImage) -> str:
    """The suffix of a file that holds every bit of this image: ``.png`` where that can, else ``.npy``."""
    channels = 1 if image.ndim == 2 else image.shape[2]
    fits_png = (image.dtype == np.uint8 and channels <= 4) or (image.dtype == np.uint16 and channels in (1, 3, 4))
    return ".png" if fits_png else ".npy"


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a whole file or none: a temporary name beside ``path``, then a rename.

    Raises:
        StorageError: the disk is full or the folder cannot be written; nothing half-written is left.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageError(f"cannot write {str(path)!r} ({error.strerror}): free some space or choose another folder") from None


def _check_pixels(path: Path, size: tuple[int, int], max_pixels: int) -> None:
    if size[0] * size[1] > max_pixels:
        raise ImageError(_too_large(path, f"{size[0]} x {size[1]}", max_pixels))


def _too_large(path: Path, size: str, max_pixels: int) -> str:
    return f"picture {str(path)!r} claims {size} pixels: at most {max_pixels:,} are decoded; crop it, shrink it, or remove it"


def _needs_opencv(path: Path, picture: Image.Image) -> bool:
    """Pillow reads 16-bit colour as 8-bit, so those files go to OpenCV."""
    if picture.format == "TIFF":
        return True
    if picture.format == "PNG":
        with path.open("rb") as file:
            return file.read(25)[24:] == b"\x10"
    return False


def _read_with_pillow(picture: Image.Image) -> AnyImage:
    upright = ImageOps.exif_transpose(picture)
    if upright.mode in ("P", "PA"):
        upright = upright.convert("RGBA" if "transparency" in upright.info else "RGB")
    elif upright.mode == "1":
        upright = upright.convert("L")
    elif upright.mode not in ("L", "LA", "RGB", "RGBA"):
        upright = upright.convert("RGB")
    return np.array(upright)


def _read_with_opencv(path: Path) -> AnyImage:
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ImageError(f"picture {str(path)!r} is damaged or of a kind that cannot be read: save it again as PNG")
    if image.ndim == 3 and image.shape[2] in (3, 4):
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB if image.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    return check_image(image, f"picture {str(path)!r}")


def _read_npy(path: Path) -> AnyImage:
    return check_image(np.load(path, allow_pickle=False), f"picture {str(path)!r}")


def _npy_bytes(image: AnyImage) -> bytes:
    import io

    buffer = io.BytesIO()
    np.save(buffer, image, allow_pickle=False)
    return buffer.getvalue()


def _encode_gray_alpha(planes: AnyImage, suffix: str) -> bytes:
    import io

    if planes.dtype != np.uint8 or suffix != ".png":
        raise StorageError(f"a two-channel {planes.dtype} image does not fit into {suffix}: write it as .npy")
    buffer = io.BytesIO()
    Image.fromarray(planes, mode="LA").save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()
