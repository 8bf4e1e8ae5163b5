"""Picture files: what is written is what is read, and what cannot be read says why."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from conftest import DTYPES, picture
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from defectsynth.errors import ImageError, StorageError
from defectsynth.files import encode_image, list_images, lossless_suffix, read_image, read_mask, write_bytes, write_image
from defectsynth.images import content_hash, convert, resize_image, resize_mask, split_alpha, to_rgb8


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4, 5, 8])
def test_lossless_round_trip(tmp_path, dtype, channels):
    image = picture((9, 13) if channels is None else (9, 13, channels), dtype)
    path = tmp_path / f"picture{lossless_suffix(image)}"
    write_image(path, image)
    found = read_image(path)
    assert found.dtype == image.dtype
    assert (found.reshape(image.shape) == image).all()
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_image_gives_the_same_bytes():
    image = picture((40, 50, 3))
    assert encode_image(image, ".png") == encode_image(image.copy(), ".png")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_every_pillow_mode_is_read(tmp_path, mode):
    picture_in_mode = Image.fromarray(picture((8, 9, 3))).convert(mode)
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    picture_in_mode.save(path)
    found = read_image(path)
    assert found.dtype == np.uint8
    assert found.shape[:2] == (8, 9)


def test_sixteen_bit_colour_stays_sixteen_bit(tmp_path):
    image = picture((8, 9, 3), np.uint16)
    for name in ("a.png", "a.tif"):
        cv2.imwrite(str(tmp_path / name), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        assert (read_image(tmp_path / name) == image).all()


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to see it upright
    Image.fromarray(picture((8, 12, 3))).save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (12, 8, 3)


def test_masks_are_binary_whatever_their_levels(tmp_path):
    for top in (1, 100, 255, 65535):
        for dtype in (np.uint8, np.uint16):
            if top <= np.iinfo(dtype).max:
                write_image(tmp_path / "m.png", np.array([[0, top], [top, 0]], dtype))
                assert read_mask(tmp_path / "m.png").tolist() == [[0, 255], [255, 0]]
    write_image(tmp_path / "m.png", np.array([[0, 1, 2], [3, 0, 1]], np.uint8))  # labels
    assert read_mask(tmp_path / "m.png").tolist() == [[0, 255, 255], [255, 0, 255]]
    write_image(tmp_path / "m.png", np.zeros((2, 2), np.uint8))
    assert not read_mask(tmp_path / "m.png").any()


def test_float_colour_tiff(tmp_path):
    image = picture((8, 9, 3), np.float32)
    cv2.imwrite(str(tmp_path / "a.tif"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert (read_image(tmp_path / "a.tif") == image).all()


def test_npy_headers_that_claim_too_much(tmp_path):
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (900_000, 900_000)})
    with pytest.raises(ImageError, match=r"a\.npy'"):
        read_image(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.zeros((300, 300), np.uint8))
    with pytest.raises(ImageError, match="claims 300 x 300 pixels: at most 1,000"):
        read_image(tmp_path / "b.npy", max_pixels=1000)


def test_a_suffix_that_is_no_format(tmp_path):
    for name in ("sheet", "sheet.xyz"):
        with pytest.raises(StorageError, match="is no picture format: use one of"):
            write_image(tmp_path / name, picture((4, 4)))


# --- files that cannot be read ------------------------------------------------------------------------------------------


def bomb(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    data = struct.pack(">I", 1000) + b"IDAT" + zlib.compress(bytes(5000))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data


def test_truncated_text_bomb_missing(tmp_path):
    good = encode_image(picture((64, 64, 3)), ".png")
    (tmp_path / "cut.png").write_bytes(good[: len(good) // 2])
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "bomb.png").write_bytes(bomb(60_000, 60_000))
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY\x01\x00")
    for name, message in {
        "cut.png": r"cut.png' is damaged \(.*\): remove it or save it again",
        "text.png": "text.png' is not a picture that can be read",
        "empty.png": "empty.png' is not a picture that can be read",
        "bomb.png": "bomb.png' claims 3600000000 pixels: at most 178,956,970 are decoded; crop it, shrink it",
        "bad.npy": "bad.npy' is damaged",
        "gone.png": "gone.png' does not exist: check the path",
    }.items():
        with pytest.raises(ImageError, match=message):
            read_image(tmp_path / name)
    with pytest.raises(ImageError, match="claims 64 x 64 pixels: at most 100 are decoded"):
        (tmp_path / "fine.png").write_bytes(good)
        read_image(tmp_path / "fine.png", max_pixels=100)


def test_folders_that_hold_nothing(tmp_path):
    with pytest.raises(ImageError, match=r"texture folder '.*nowhere' does not exist"):
        list_images(tmp_path / "nowhere", "texture")
    with pytest.raises(ImageError, match=r"holds no pictures: it needs files that end in \.bmp"):
        list_images(tmp_path)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(ImageError, match="is a file: give the folder"):
        list_images(tmp_path / "a.txt")


def test_files_are_listed_in_one_order_and_hidden_ones_left_out(tmp_path):
    for name in ("b/2.png", "a/10.PNG", "a/9.jpg", "a/.hidden.png", "c/readme.txt"):
        write_bytes(tmp_path / name, b"x")
    assert [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)] == ["a/10.PNG", "a/9.jpg", "b/2.png"]


def test_nothing_half_written_is_left(tmp_path):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(StorageError, match=r"cannot write .*folder\.png.*choose another folder, or make this one writable"):
        write_bytes(tmp_path / "folder.png", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


# --- arrays -------------------------------------------------------------------------------------------------------------


@given(st.sampled_from(DTYPES), st.sampled_from([None, 1, 2, 3, 5]), st.sampled_from([None, 1, 3, 4]))
def test_convert_gives_the_type_and_the_channels(dtype, before, after):
    image = picture((5, 6) if before is None else (5, 6, before), dtype)
    for target in DTYPES:
        found = convert(image, target, after)
        assert found.dtype == target
        assert found.shape == ((5, 6) if after is None else (5, 6, after))


@pytest.mark.parametrize("dtype", DTYPES)
def test_convert_puts_planes_together_that_lie_apart(dtype):
    planes = np.ascontiguousarray(picture((9, 13, 3), dtype).transpose(2, 0, 1))
    for image in (planes.transpose(1, 2, 0), planes[:, ::2].transpose(1, 2, 0), planes[:, :, ::-1].transpose(1, 2, 0)):
        found = convert(image, dtype, 3)
        assert found.flags.c_contiguous
        assert found.dtype == dtype
        assert np.array_equal(found, image)


def test_convert_there_and_back_is_the_image():
    image = picture((6, 7, 3))
    assert (convert(convert(image, np.uint16, 3), np.uint8, 3) == image).all()
    assert (convert(convert(image, np.float32, 3), np.uint8, 3) == image).all()


@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4, 5, 7])
def test_resize_keeps_type_and_channels(channels):
    image = picture((20, 30) if channels is None else (20, 30, channels), np.uint16)
    for shape in ((10, 15), (33, 7), (60, 90), (1, 1)):
        found = resize_image(image, shape)
        assert found.dtype == image.dtype
        assert found.shape == (shape if channels is None else (*shape, channels))


def test_resize_mask_stays_binary_and_keeps_its_share():
    mask = np.zeros((100, 100), np.uint8)
    mask[20:60, 30:90] = 255
    found = resize_mask(mask, (37, 41))
    assert set(np.unique(found)) == {0, 255}
    assert abs((found != 0).mean() - 0.24) < 0.02


def test_alpha_comes_off_and_the_rest_stays():
    rgba = picture((5, 6, 4))
    colour, alpha = split_alpha(rgba)
    assert (colour == rgba[:, :, :3]).all()
    assert (alpha == rgba[:, :, 3:]).all()
    grey, _ = split_alpha(picture((5, 6, 2)))
    assert grey.shape == (5, 6)
    assert split_alpha(picture((5, 6, 3)))[1] is None


def test_content_hash_sees_pixels_not_files(tmp_path):
    image = picture((20, 22, 3))
    for name in ("a.png", "b.bmp", "c.tif"):
        write_image(tmp_path / name, image)
    assert len({content_hash(read_image(path)) for path in tmp_path.iterdir()}) == 1
    changed = image.copy()
    changed[0, 0, 0] ^= 1
    assert content_hash(changed) != content_hash(image)
    grey = picture((20, 22))
    assert content_hash(grey) == content_hash(np.repeat(grey[:, :, None], 3, axis=2))
    assert content_hash(grey.reshape(22, 20)) != content_hash(grey)


def test_rgb_for_looking_at():
    for channels in (None, 1, 2, 3, 4, 5):
        assert to_rgb8(picture((4, 5) if channels is None else (4, 5, channels), np.float32)).shape == (4, 5, 3)
