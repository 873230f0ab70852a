import pytest

from runtime.engines.profile import Profile, check_profile, default_profiles, parse_profile
from runtime.errors import OptionError

UP_TO_8 = Profile(smallest=(1, 3, 224, 224), tuned=(4, 3, 224, 224), largest=(8, 3, 224, 224))
FIXED = Profile(smallest=(4, 3, 224, 224), tuned=(4, 3, 224, 224), largest=(4, 3, 224, 224))


@pytest.mark.parametrize(
    ("text", "profile"),
    [
        ("1:4:8", UP_TO_8),
        ("1x3x224x224:4x3x224x224:8x3x224x224", UP_TO_8),
        ("4", FIXED),
        ("4x3x224x224", FIXED),
    ],
)
def test_a_profile_is_written_as_batches_or_as_whole_shapes(text, profile):
    assert parse_profile(text, channels=3, side=224) == profile


@pytest.mark.parametrize(
    ("shape", "profiles"),
    [
        (("batch", "3", "height", "width"), (parse_profile("1:8:32", 3, 224),)),
        (("batch", "1", "8", "8"), (parse_profile("1:8:32", 1, 8),)),
        (("4", "3", "height", "width"), (parse_profile("4", 3, 224),)),
        (("4", "3", "224", "224"), ()),
    ],
)
def test_without_a_profile_a_graph_takes_32_images_of_its_own_size(shape, profiles):
    assert default_profiles(shape, side=224) == profiles


def test_a_profile_reads_its_own_text():
    assert parse_profile(str(UP_TO_8), channels=3, side=32) == UP_TO_8


@pytest.mark.parametrize(
    "text", ["", "8:1:4", "0:1:2", "1:2", "1:2:3:4", "a:b:c", "-1:2:3", "1x3:2:3", "²:3:4", "1:4:2"]
)
def test_what_is_no_profile_is_refused(text):
    with pytest.raises(OptionError, match=r"^profile: given"):
        parse_profile(text, channels=3, side=224)


@pytest.mark.parametrize(
    "text", ["1:8:32", "4", "4x1x8x8", "1:4x3x8x8:8", "1x9x8x8:2x9x8x8:4x9x9x9"]
)
def test_a_profile_of_some_model_passes_without_the_model(text):
    check_profile(text)


@pytest.mark.parametrize(
    "text",
    [
        "8:4:2",
        "0:1:2",
        "1:2",
        "a",
        "1:8x3x8x8:4",
        "1x3x9x8:2x3x8x8:4x3x9x8",
        f"1:8:{10**14}",
        "9" * 5000,
    ],
)
def test_a_profile_of_no_model_is_refused_without_the_model(text):
    with pytest.raises(OptionError, match=r"^profile: given"):
        check_profile(text)


def test_a_profile_has_no_more_values_than_a_convolution_takes():
    most = (2**31 - 1) // (3 * 8 * 8)
    parse_profile(f"1:8:{most}", channels=3, side=8)
    with pytest.raises(OptionError, match=r"at most 2,147,483,647 values in all images"):
        parse_profile(f"1:8:{most + 1}", channels=3, side=8)


@pytest.mark.parametrize(
    ("graph", "fits"),
    [
        ((None, 3, None, None), True),
        ((None, 3, 224, 224), True),
        ((4, 3, 224, 224), False),
        ((None, 1, None, None), False),
        ((None, None, None), False),
    ],
)
def test_a_profile_fits_a_graph_that_takes_all_of_it(graph, fits):
    assert UP_TO_8.fits(graph) is fits


def test_a_profile_of_other_channels_is_refused():
    with pytest.raises(OptionError, match="given 1 channels in '1x1x8x8'; the model has 3"):
        parse_profile("1x1x8x8:1x1x8x8:1x1x8x8", channels=3, side=8)


@pytest.mark.parametrize(
    ("shape", "inside"),
    [
        ((1, 3, 224, 224), True),
        ((8, 3, 224, 224), True),
        ((9, 3, 224, 224), False),
        ((1, 3, 223, 224), False),
        ((1, 3, 224), False),
    ],
)
def test_a_profile_accepts_what_lies_between_its_smallest_and_its_largest(shape, inside):
    assert UP_TO_8.accepts(shape) is inside


def test_a_profile_of_pixels_has_its_channels_last():
    profile = parse_profile("1:4:8", channels=3, side=224, layout="NHWC")
    assert str(profile) == "1x224x224x3:4x224x224x3:8x224x224x3"
    assert parse_profile(str(profile), channels=3, side=32, layout="NHWC") == profile
    assert default_profiles(("batch", "height", "width", "3"), 8) == (
        parse_profile("1:8:32", channels=3, side=8, layout="NHWC"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1x3x8x8", "given 8 channels in '1x3x8x8'; the model has 3"),
        ("a", "batch x height x width x channels, such as 8x8x8x3"),
    ],
)
def test_a_profile_of_pixels_in_another_order_is_refused(text, message):
    with pytest.raises(OptionError, match=message):
        parse_profile(text, channels=3, side=8, layout="NHWC")
