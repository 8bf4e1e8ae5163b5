"""Picture files: finding, reading and writing them.

Files with an alpha channel are read with it (``images.split_alpha`` takes it off); ``.npy`` files hold what no picture format
can (more than four channels, colour float32). A file is written whole or not at all.
"""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from defectsynth.errors import ImageError, StorageError
from defectsynth.images import AnyImage, Mask, as_mask, check_image

__all__ = [
    "BUILTIN_PREFIX",
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "PNG_LEVEL",
    "binary_mask",
    "decode_image",
    "decode_npy",
    "encode_image",
    "find_images",
    "list_images",
    "lossless_suffix",
    "read_form",
    "read_image",
    "read_mask",
    "storage_error",
    "write_bytes",
    "write_image",
    "write_parts",
]

BUILTIN_PREFIX = "builtin:"
"""Begins the name of what the package makes itself and takes in place of a folder: products, textures."""
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".npy"})
_FIRST_GREY = 32  # a mask file whose values are all smaller holds labels, not grey levels
MAX_PIXELS = 178_956_970
"""Largest picture that is decoded (Pillow's own limit); a header that claims more is refused before any memory is taken."""
PNG_LEVEL = 1
"""The default of ``encode_image``: the fast end, where little is left to gain on photographs."""


def list_images(folder: Path, what: str = "image") -> list[Path]:
    """The picture files below ``folder``, sorted by relative path; hidden files are left out.

    Raises:
        ImageError: the folder is missing, is a file, or holds no picture.
    """
    if not folder.exists():
        raise ImageError(f"{what} folder {str(folder)!r} does not exist: check the path")
    if not folder.is_dir():
        raise ImageError(f"{what} folder {str(folder)!r} is a file: give the folder that holds the pictures")
    found = find_images(folder)
    if not found:
        kinds = " ".join(sorted(IMAGE_SUFFIXES))
        raise ImageError(f"{what} folder {str(folder)!r} holds no pictures: it needs files that end in {kinds}")
    return found


def find_images(folder: Path) -> list[Path]:
    """The same, or an empty list."""
    found = [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and not path.name.startswith(".")
    ]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> AnyImage:
    """One picture file as an image, with its alpha if it has one; 16 bits stay 16 bits; EXIF rotation is applied.

    Raises:
        ImageError: the file is missing, truncated, not a picture, or larger than ``max_pixels``.
    """
    try:
        if path.suffix.lower() == ".npy":
            return _read_npy(path, max_pixels)
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
        if path.suffix.lower() in (".tif", ".tiff"):  # float colour: Pillow does not know it, OpenCV does
            return _read_with_opencv(path)
        raise ImageError(f"picture {str(path)!r} is not a picture that can be read: remove it or save it again") from None
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError, cv2.error) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"picture {str(path)!r} is damaged ({error}): remove it or save it again") from None


def read_form(path: Path, *, max_pixels: int = MAX_PIXELS) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of what ``read_image`` gives, from the file's header where that says it; raises what that raises."""
    if path.suffix.lower() not in (".npy", ".tif", ".tiff"):
        with suppress(OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError), Image.open(path) as picture:
            channels = {"1": 1, "L": 1, "LA": 2, "RGB": 3, "RGBA": 4}.get(picture.mode)
            if channels is not None and not _needs_opencv(path, picture):
                return (picture.height, picture.width, channels), np.dtype(np.uint8)
    image = read_image(path, max_pixels=max_pixels)
    return image.shape, image.dtype


def read_mask(path: Path, *, max_pixels: int = MAX_PIXELS) -> Mask:
    """One mask file as ``(H, W)`` uint8, 0 or 255; see ``binary_mask``."""
    return binary_mask(read_image(path, max_pixels=max_pixels))


def binary_mask(image: AnyImage) -> Mask:
    """A mask as it was read from a file as ``(H, W)`` uint8, 0 or 255, from its first channel.

    Set where the value is at least half of the file's own largest one, so that 0/255, 0/100 and 16-bit masks all work; in a
    file whose values are all below 32 (labels) set where it is not zero.
    """
    plane = image if image.ndim == 2 else image[:, :, 0]
    top = float(plane.max())
    labels = plane.dtype != np.float32 and top < _FIRST_GREY
    return as_mask((plane > 0) if labels else (plane >= top / 2) & (plane > 0))


def write_image(path: Path, image: AnyImage) -> None:
    """Writes a picture under a temporary name and renames it; the format follows the suffix (``.png``, ``.npy``, ...)."""
    write_bytes(path, encode_image(image, path.suffix.lower()))


def encode_image(image: AnyImage, suffix: str, *, png_level: int = PNG_LEVEL, quality: int | None = None) -> bytes:
    """The bytes of a picture file; the same bytes for the same image and the same version of OpenCV.

    Args:
        image: the picture.
        suffix: ``.png``, ``.npy``, ``.jpg``, ...
        png_level: of PNG, 0 to 9. 0 does not compress. 1 is OpenCV's own setting for speed: one filter for all rows, and of
            what zlib does only runs and Huffman codes. From 2 on it is zlib's level, with a filter for each row.
        quality: of JPEG and WebP, 1 to 100; None is 95 for JPEG, and lossless for WebP.

    Raises:
        StorageError: the format is unknown, or cannot hold the image.
    """
    if suffix == ".npy":
        return _npy_bytes(image)
    planes = image if image.ndim == 3 else image[:, :, None]
    channels = planes.shape[2]
    if channels == 2:
        return _encode_gray_alpha(planes, suffix, png_level)
    if channels not in (1, 3, 4) or image.dtype == np.float32:
        raise StorageError(f"an image {image.shape} {image.dtype} does not fit into {suffix}: write it as .npy")
    if suffix not in IMAGE_SUFFIXES:
        raise StorageError(
            f"{suffix or 'a name without suffix'!r} is no picture format: use one of {' '.join(sorted(IMAGE_SUFFIXES))}"
        )
    if channels >= 3:
        planes = cv2.cvtColor(planes, cv2.COLOR_RGB2BGR if channels == 3 else cv2.COLOR_RGBA2BGRA)
    done, encoded = cv2.imencode(suffix, np.ascontiguousarray(planes), _encoder_settings(suffix, png_level, quality))
    if not done:
        raise StorageError(f"an image {image.shape} {image.dtype} cannot be encoded as {suffix}: write it as .png")
    return encoded.tobytes()


def _encoder_settings(suffix: str, png_level: int, quality: int | None) -> list[int]:
    """OpenCV's parameters. PNG level 1 has none: OpenCV is faster by itself than with any level that it is given."""
    if suffix == ".png" and png_level != PNG_LEVEL:
        no_filter = [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE] if hasattr(cv2, "IMWRITE_PNG_FILTER") else []
        return [cv2.IMWRITE_PNG_COMPRESSION, png_level, *(no_filter if png_level == 0 else [])]
    if suffix in (".jpg", ".jpeg") and quality is not None:
        return [cv2.IMWRITE_JPEG_QUALITY, quality]
    if suffix == ".webp" and quality is not None:
        return [cv2.IMWRITE_WEBP_QUALITY, quality]
    return []


def decode_image(data: bytes, name: str) -> AnyImage:
    """The picture in the bytes of a file that OpenCV reads, as it lies there (no EXIF rotation); ``name`` is for the message.

    Raises:
        ImageError: it cannot be decoded.
    """
    image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if image is None:
        raise ImageError(f"picture {name!r} is damaged or of a kind that cannot be read: save it again as PNG")
    if image.ndim == 3 and image.shape[2] in (3, 4):
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB if image.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    return check_image(image, f"picture {name!r}")


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
    write_parts(path, (data,))


def write_parts(path: Path, parts: Iterable[bytes]) -> None:
    """The same for a file that is too large to hold in memory; raises the same."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with _created(temporary) as file:
            for part in parts:
                file.write(part)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise storage_error(path, error) from None


def _created(path: Path) -> BinaryIO:
    """A new file; its folder is made where it is missing (most files have theirs, and looking costs as much as making)."""
    try:
        return path.open("wb")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("wb")


def storage_error(path: Path, error: OSError) -> StorageError:
    """What to tell of a file that could not be written."""
    if isinstance(error, StorageError):
        return error
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    way_out = "free some space or choose another folder" if full else "choose another folder, or make this one writable"
    return StorageError(f"cannot write {str(path)!r} ({error.strerror}): {way_out}")


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
    ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode in ("P", "PA"):
        picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    elif picture.mode == "1":
        picture = picture.convert("L")
    elif picture.mode not in ("L", "LA", "RGB", "RGBA"):
        picture = picture.convert("RGB")
    return np.array(picture)


def _read_with_opencv(path: Path) -> AnyImage:
    return decode_image(path.read_bytes(), str(path))


def _read_npy(path: Path, max_pixels: int) -> AnyImage:
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # reads the header only
    if mapped.ndim >= 2:
        _check_pixels(path, (mapped.shape[1], mapped.shape[0]), max_pixels)
    return check_image(np.array(mapped), f"picture {str(path)!r}")


def decode_npy(data: bytes, name: str) -> AnyImage:
    """The picture in the bytes of a ``.npy`` file; raises ``ImageError`` where it cannot be read."""
    try:
        return check_image(np.load(io.BytesIO(data), allow_pickle=False), f"picture {name!r}")
    except (OSError, ValueError, EOFError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"picture {name!r} is damaged ({error}): remove it or save it again") from None


def _npy_bytes(image: AnyImage) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, image, allow_pickle=False)
    return buffer.getvalue()


def _encode_gray_alpha(planes: AnyImage, suffix: str, png_level: int) -> bytes:
    if planes.dtype != np.uint8 or suffix != ".png":
        raise StorageError(f"a two-channel {planes.dtype} image does not fit into {suffix}: write it as .npy")
    buffer = io.BytesIO()
    Image.fromarray(planes, mode="LA").save(buffer, format="PNG", compress_level=png_level)
    return buffer.getvalue()
