import os
import struct
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_image

from runtime.errors import ImageError
from runtime.image_spec import ImageSpec
from runtime.open_image import decode_image, load_image, open_image
from runtime.preprocess import MAX_PIXELS, preprocess

ORIENTATION = 0x0112  # the EXIF tag


@pytest.fixture(scope="module")
def photograph():
    return Image.fromarray(load_sample_image("flower.jpg")).resize((60, 40))


def saved(image, path, **options):
    image.save(path, **options)
    return path


def refused(path):
    """Return why the file is refused, having checked that it is one line that names the file."""
    with pytest.raises(ImageError) as error:
        open_image(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def png_header(width, height):
    """Return the start of a black and white PNG: all that a size is checked in."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = b"IDAT" + zlib.compress(b"")
    chunks = (header, pixels)
    body = (struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


@pytest.mark.parametrize(
    "name", ["x.jpg", "x.png", "x.bmp", "x.gif", "x.ppm", "x.tif", "x.webp", "x.jp2"]
)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_every_format_opens_as_pillow_decodes_it(name, mode, photograph, tmp_path):
    path = saved(photograph.convert(mode), tmp_path / name)
    with Image.open(path) as stored:
        expected = np.asarray(stored if stored.mode == mode else stored.convert("RGB"))
    image = open_image(path)
    path.unlink()  # wholly decoded: the file is not needed any more
    assert image.mode in ("L", "RGB")
    assert np.array_equal(np.asarray(image), expected)


def test_misnamed_file_opens_all_the_same(photograph, tmp_path):
    path = saved(photograph, tmp_path / "really-a-png.jpg", format="PNG")
    assert np.array_equal(np.asarray(open_image(path)), np.asarray(photograph))


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("RGBA", "x.png"),
        ("RGBA", "x.webp"),
        ("P", "x.png"),
        ("P", "x.gif"),
        ("CMYK", "x.jpg"),
        ("CMYK", "x.tif"),
        ("YCbCr", "x.tif"),
    ],
)
def test_colour_kinds_open_as_convert_rgb(mode, name, photograph, tmp_path):
    source = photograph.convert(mode)
    if mode == "RGBA":
        source.putalpha(Image.linear_gradient("L").resize(source.size))
    path = saved(
        source, tmp_path / name, **({"lossless": True, "exact": True} if "webp" in name else {})
    )
    with Image.open(path) as stored:
        assert stored.mode == mode
        expected = np.asarray(stored.convert("RGB"))
    image = open_image(path)
    assert image.mode == "RGB"
    assert np.array_equal(np.asarray(image), expected)


def test_colour_under_full_transparency_shows(tmp_path):
    path = saved(Image.new("RGBA", (4, 4), (10, 20, 30, 0)), tmp_path / "x.png")
    assert open_image(path).getpixel((0, 0)) == (10, 20, 30)


def test_transparency_of_palette_entries_is_dropped_without_a_warning(photograph, tmp_path):
    path = saved(photograph.quantize(8), tmp_path / "x.png", transparency=bytes(range(8)))
    assert np.array_equal(
        np.asarray(open_image(path)), np.asarray(photograph.quantize(8).convert("RGB"))
    )


@pytest.mark.parametrize("mode", ["1", "LA"])
def test_black_and_white_and_grey_with_alpha_open_as_grey(mode, photograph, tmp_path):
    source = photograph.convert("L").convert(mode)
    image = open_image(saved(source, tmp_path / "x.png"))
    assert image.mode == "L"
    assert np.array_equal(np.asarray(image), np.asarray(source.convert("L")))


@pytest.mark.parametrize("name", ["x.png", "x.tif", "big-endian.tif", "x.pgm"])
def test_16_bit_grey_is_scaled_and_rounded(name, tmp_path):
    values = np.array([[0, 128, 129, 257], [40000, 65406, 65407, 65535]], np.uint16)
    if name == "big-endian.tif":
        image = Image.frombytes("I;16B", (4, 2), values.astype(">u2").tobytes())
    else:
        image = Image.fromarray(values)
    opened = open_image(saved(image, tmp_path / name))
    assert opened.mode == "L"
    assert np.asarray(opened).tolist() == [[0, 0, 1, 1], [156, 254, 255, 255]]


def test_16_bit_grey_would_be_clipped_by_pillow(tmp_path):
    path = saved(Image.fromarray(np.full((4, 4), 32768, np.uint16)), tmp_path / "x.png")
    with Image.open(path) as stored:
        assert stored.convert("L").getpixel((0, 0)) == 255
    assert open_image(path).getpixel((0, 0)) == 128


@pytest.mark.parametrize("extreme", [-1, 65536])
def test_integers_beyond_16_bits_are_refused(extreme, tmp_path):
    values = np.array([[0, 1], [2, extreme]], np.int32)
    reason = refused(saved(Image.fromarray(values), tmp_path / "x.tif"))
    assert "holds integers" in reason
    assert "expected 0 to 65535" in reason


def test_floating_point_is_refused(tmp_path):
    path = saved(Image.fromarray(np.ones((4, 4), np.float32)), tmp_path / "x.tif")
    assert "holds floating point values; expected 8 or 16 bits" in refused(path)


@pytest.mark.parametrize("name", ["x.gif", "x.png", "x.tif", "x.webp"])
def test_first_of_several_frames_counts(name, photograph, tmp_path):
    first, second = photograph.quantize(16).convert("RGB"), Image.new("RGB", photograph.size, "red")
    options = {"lossless": True} if name.endswith("webp") else {}
    path = saved(first, tmp_path / name, save_all=True, append_images=[second], **options)
    assert np.array_equal(np.asarray(open_image(path)), np.asarray(first))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.webp"])
def test_exif_orientation_is_applied(name, orientation, photograph, tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"lossless": True} if name.endswith("webp") else {}
    path = saved(photograph, tmp_path / name, exif=exif, **options)
    with Image.open(path) as stored:
        expected = ImageOps.exif_transpose(stored)
    assert expected.size == ((60, 40) if orientation < 5 else (40, 60))
    assert np.array_equal(np.asarray(open_image(path)), np.asarray(expected))


@pytest.mark.parametrize(
    "exif", [b"garbage", b"II*\0\xff\xff\xff\x7f", b"II*\0\x08\0\0\0\x05\0", b"MM\0*\0\0\0\x08"]
)
def test_broken_exif_leaves_the_image_as_it_is_stored(exif, photograph, tmp_path):
    plain = open_image(saved(photograph, tmp_path / "plain.jpg"))
    broken = open_image(saved(photograph, tmp_path / "broken.jpg", exif=b"Exif\0\0" + exif))
    assert np.array_equal(np.asarray(broken), np.asarray(plain))


def test_broken_exif_is_no_warning_however_many_threads_read_it(photograph, tmp_path):
    path = saved(photograph, tmp_path / "x.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0")
    with pytest.warns(UserWarning, match="Corrupt EXIF data"), Image.open(path) as stored:
        expected = stored.tobytes()
    filters, interval = list(warnings.filters), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that threads meet everywhere
    try:
        with ThreadPoolExecutor(4) as pool:  # a warning would be an error here
            for image in pool.map(open_image, [path] * 1000):
                assert image.tobytes() == expected
    finally:
        sys.setswitchinterval(interval)
    assert warnings.filters == filters


def test_missing_file_is_refused(tmp_path):
    assert refused(tmp_path / "absent.jpg").startswith("no such file")


def test_folders_and_pipes_are_refused_without_waiting(tmp_path):
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    assert refused(pipe).startswith("is not a file")
    assert refused(tmp_path).startswith("is not a file")


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8", b"hello, world", b"%!PS-Adobe-3.0 EPSF-3.0\n"]
)
def test_what_is_no_known_format_is_refused(content, tmp_path):
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    assert refused(path).startswith("not an image of a known format; expected one of JPEG, PNG")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from(["x.jpg", "x.png", "x.bmp", "x.gif", "x.ppm", "x.tif", "x.webp", "x.jp2"]),
    st.floats(0, 1, exclude_max=True),
)
def test_truncated_file_is_refused_unless_every_pixel_is_there(photograph, tmp_path, name, part):
    path = saved(photograph, tmp_path / name)
    whole = np.asarray(open_image(path))
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    try:
        cut = np.asarray(open_image(path))
    except ImageError as error:
        message = str(error)
    else:
        assert np.array_equal(cut, whole)
        return
    assert message.startswith(f"{path}: ")
    assert "\n" not in message


def test_truncated_photograph_says_so(photograph, tmp_path):
    path = saved(photograph.resize((640, 480)), tmp_path / "x.jpg")
    path.write_bytes(path.read_bytes()[:10_000])
    assert refused(path).startswith("cannot be read (image file is truncated")
    assert refused(path).endswith("is the file complete?")


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1)])
def test_image_without_two_pixels_a_side_is_refused(size, tmp_path):
    path = saved(Image.new("RGB", size), tmp_path / "x.png")
    assert refused(path) == f"{size[0]}x{size[1]} pixels; expected at least 2x2 to classify"
    assert open_image(saved(Image.new("RGB", (2, 2)), path)).size == (2, 2)


@pytest.mark.parametrize("side", [10_000, 30_000, 1_000_000])
def test_decompression_bomb_is_refused_from_its_header(side, tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(side, side))
    assert f"{MAX_PIXELS} pixels" in refused(path)


def test_image_under_the_limit_gets_past_the_header(tmp_path):
    path = tmp_path / "no-bomb.png"
    path.write_bytes(png_header(9_000, 9_000))
    assert refused(path).startswith("cannot be read")


def test_bytes_of_a_file_open_as_the_file_does(photograph, tmp_path):
    path = saved(photograph, tmp_path / "photograph.webp")
    decoded = decode_image(path.read_bytes(), "upload.webp")
    np.testing.assert_array_equal(np.asarray(decoded), np.asarray(open_image(path)))


def test_bytes_are_refused_under_the_name_and_the_limit_given(photograph, tmp_path):
    data = saved(photograph, tmp_path / "photograph.png").read_bytes()
    with pytest.raises(ImageError, match=r"^upload: 60x40 pixels; expected at most 2399 pixels"):
        decode_image(data, "upload", 2399)
    with pytest.raises(ImageError, match=r"^upload: cannot be read"):
        decode_image(data[:-100], "upload")


def test_load_image_opens_and_preprocesses(photograph, tmp_path):
    spec = ImageSpec(resize=32, crop=32, mean=(0.5,) * 3, std=(0.25,) * 3)
    path = saved(photograph, tmp_path / "x.png")
    assert np.array_equal(load_image(path, spec), preprocess(photograph, spec))


def test_load_image_names_the_file_that_cannot_be_preprocessed(tmp_path):
    spec = ImageSpec(resize=1000, crop=1000, mean=(0.5,), std=(0.5,), channels="L")
    path = saved(Image.new("L", (2, 1000)), tmp_path / "strip.png")
    with pytest.raises(
        ImageError, match=r"strip\.png: 2x1000 pixels would be resized to 1000x500000"
    ):
        load_image(path, spec)
