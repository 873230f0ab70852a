"""The reference is torchvision's own pipeline on the same Pillow image, compared bit for bit."""

import subprocess
import sys
from pathlib import Path

import elpv_dataset
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image
from torchvision import transforms

from runtime.errors import ImageError
from runtime.image_spec import ImageSpec
from runtime.preprocess import MAX_PIXELS, crop_pixels, model_input, normalise, preprocess

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
SOLAR_CELLS = sorted((Path(elpv_dataset.__file__).parent / "data" / "images").glob("*.png"))


def torchvision_pipeline(image, spec):
    interpolation = transforms.InterpolationMode(spec.interpolation)
    steps = [
        transforms.Resize(spec.resize, interpolation),
        transforms.CenterCrop(spec.crop),
        transforms.ToTensor(),
        transforms.Normalize(spec.mean, spec.std),
    ]
    return transforms.Compose(steps)(image.convert("L" if spec.channels == "L" else "RGB")).numpy()


def assert_bit_equal(actual, expected):
    assert (actual.dtype, actual.shape) == (np.float32, expected.shape)
    assert actual.tobytes() == expected.tobytes()


@st.composite
def images(draw):
    width, height = draw(st.integers(2, 150)), draw(st.integers(2, 150))
    shape = draw(st.sampled_from([(height, width), (height, width, 3)]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))


@st.composite
def specs(draw):
    channels = draw(st.sampled_from(["L", "RGB"]))
    count = len(channels)
    return ImageSpec(
        resize=draw(st.integers(1, 100)),
        crop=draw(st.integers(1, 100)),
        mean=tuple(draw(st.lists(st.floats(0, 1), min_size=count, max_size=count))),
        std=tuple(draw(st.lists(st.floats(0.01, 1), min_size=count, max_size=count))),
        channels="L" if channels == "L" else "RGB",
        interpolation=draw(st.sampled_from(["bilinear", "bicubic"])),
    )


@given(images(), specs())
def test_any_image_under_any_spec_equals_torchvision_to_the_bit(image, spec):
    assert_bit_equal(preprocess(image, spec), torchvision_pipeline(image, spec))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("resize", "crop"), [(256, 224), (232, 224), (224, 224), (32, 40)])
@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_photographs_equal_torchvision_to_the_bit(name, resize, crop, interpolation):
    spec = ImageSpec(resize=resize, crop=crop, interpolation=interpolation, **IMAGENET)
    photograph = Image.fromarray(load_sample_image(name))
    for image in (photograph, photograph.transpose(Image.Transpose.ROTATE_90)):
        assert_bit_equal(preprocess(image, spec), torchvision_pipeline(image, spec))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_grey_photographs_equal_torchvision_to_the_bit(interpolation):
    as_colour = ImageSpec(resize=256, crop=224, interpolation=interpolation, **IMAGENET)
    as_grey = ImageSpec(
        resize=64, crop=56, mean=(0.44,), std=(0.2,), channels="L", interpolation=interpolation
    )
    assert len(SOLAR_CELLS) > 2000
    for path in SOLAR_CELLS[::200]:
        with Image.open(path) as image:
            for spec in (as_colour, as_grey):
                assert_bit_equal(preprocess(image, spec), torchvision_pipeline(image, spec))


def test_scanned_digits_equal_torchvision_to_the_bit():
    spec = ImageSpec(resize=8, crop=8, mean=(0.3,), std=(0.4,), channels="L")
    for digit in load_digits().images[:50]:
        image = Image.fromarray((digit * 15).astype(np.uint8))
        assert_bit_equal(preprocess(image, spec), torchvision_pipeline(image, spec))


def test_normalising_in_double_precision_would_not_be_bit_equal():
    spec = ImageSpec(resize=224, crop=224, **IMAGENET)
    image = Image.fromarray(load_sample_image("china.jpg")).resize((224, 224))
    pixels = np.asarray(image).transpose(2, 0, 1)
    mean, std = (np.array(each)[:, None, None] for each in (spec.mean, spec.std))
    in_double = ((pixels / 255 - mean) / std).astype(np.float32)
    np.testing.assert_allclose(preprocess(image, spec), in_double, rtol=1e-5, atol=1e-6)
    assert in_double.tobytes() != torchvision_pipeline(image, spec).tobytes()


def test_bgr_is_rgb_with_the_planes_reversed():
    rgb = ImageSpec(resize=64, crop=64, **IMAGENET)
    bgr = ImageSpec(resize=64, crop=64, channels="BGR", mean=rgb.mean[::-1], std=rgb.std[::-1])
    image = Image.fromarray(load_sample_image("flower.jpg"))
    assert_bit_equal(preprocess(image, bgr), preprocess(image, rgb)[::-1])


def test_value_range_0_to_255_keeps_pixel_values_exactly():
    spec = ImageSpec(
        resize=16, crop=16, mean=(0.0,), std=(1.0,), channels="L", value_range=(0.0, 255.0)
    )
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(preprocess(Image.fromarray(pixels), spec)[0], pixels)


def test_value_range_minus_1_to_1_puts_black_and_white_at_its_ends():
    spec = ImageSpec(
        resize=2, crop=2, mean=(0.0,), std=(1.0,), channels="L", value_range=(-1.0, 1.0)
    )
    pixels = np.array([[0, 255], [255, 0]], np.uint8)
    assert preprocess(Image.fromarray(pixels), spec).tolist() == [[[-1, 1], [1, -1]]]


def test_palette_image_is_read_as_rgb():
    spec = ImageSpec(resize=32, crop=32, **IMAGENET)
    palette = Image.fromarray(load_sample_image("flower.jpg")).quantize(16)
    assert_bit_equal(preprocess(palette, spec), torchvision_pipeline(palette, spec))


def test_result_is_the_callers_to_keep():
    spec = ImageSpec(resize=8, crop=8, mean=(0.5,), std=(0.5,), channels="L")
    image = Image.new("L", (8, 8), 200)
    first = preprocess(image, spec)
    before = first.copy()
    first[:] = 7
    assert np.array_equal(preprocess(image, spec), before)
    assert before.flags.c_contiguous
    assert before.flags.owndata


def test_planes_cannot_come_from_an_image():
    spec = ImageSpec(resize=8, crop=8, mean=(0.0,) * 12, std=(1.0,) * 12, channels="planes")
    with pytest.raises(ImageError, match="12 planes, which no image file holds"):
        preprocess(Image.new("RGB", (8, 8)), spec)


def test_strip_that_would_grow_beyond_the_limit_is_refused():
    spec = ImageSpec(resize=224, crop=224, mean=(0.5,), std=(0.5,), channels="L")
    length = 2 * MAX_PIXELS // 224**2
    assert preprocess(Image.new("L", (length - 100, 2)), spec).shape == (1, 224, 224)
    with pytest.raises(ImageError, match=f"{length + 100}x2 pixels would be resized to 224x"):
        preprocess(Image.new("L", (length + 100, 2)), spec)


def test_preprocessing_imports_neither_torch_nor_onnxruntime():
    code = (
        "import sys, runtime.find_images, runtime.preprocess, runtime.classify, runtime.providers; "
        "print({'torch', 'onnx', 'onnxruntime', 'PIL', 'export'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


@given(images(), specs())
def test_the_normalised_image_is_that_of_the_pixels_to_the_bit(image, spec):
    planes = crop_pixels(image, spec, "NCHW")
    assert (planes.dtype, planes.shape) == (np.uint8, spec.shape())
    assert_bit_equal(normalise(planes, spec), preprocess(image, spec))
    pixels = crop_pixels(image, spec, "NHWC")
    assert pixels.shape == spec.shape("NHWC")
    assert np.array_equal(np.moveaxis(pixels, 2, 0), planes)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_pixels_are_those_of_pillow_and_the_callers_to_keep(layout):
    image = Image.fromarray(load_sample_image("china.jpg"))
    spec = ImageSpec(resize=427, crop=224, mean=(0,) * 3, std=(1,) * 3)
    pixels = model_input(image, spec, layout)
    expected = np.asarray(image)[101 + 1 : 101 + 225, 208:432]
    assert np.array_equal(pixels if layout == "NHWC" else np.moveaxis(pixels, 0, 2), expected)
    assert pixels.flags.c_contiguous
    pixels[:] = 0
    assert model_input(image, spec, layout).any()


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_bgr_and_grey_lie_as_the_channels_of_the_model(layout):
    colour = Image.fromarray(np.full((4, 4, 3), (1, 2, 3), np.uint8))
    spec = ImageSpec(resize=4, crop=4, mean=(0,) * 3, std=(1,) * 3, channels="BGR")
    axis = {"NCHW": 0, "NHWC": 2}[layout]
    assert crop_pixels(colour, spec, layout).take(0, axis).max() == 3
    grey = crop_pixels(Image.new("L", (4, 4), 7), spec, layout)
    assert (grey == 7).all()
    assert grey.shape[axis] == 3
