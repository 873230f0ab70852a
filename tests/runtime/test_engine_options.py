import pytest

from runtime.engine_options import EngineOptions, Profile, parse_profile
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


def test_a_profile_reads_its_own_text():
    assert parse_profile(str(UP_TO_8), channels=3, side=32) == UP_TO_8


@pytest.mark.parametrize(
    "text", ["", "8:1:4", "0:1:2", "1:2", "1:2:3:4", "a:b:c", "-1:2:3", "1x3:2:3", "²:3:4", "1:4:2"]
)
def test_what_is_no_profile_is_refused(text):
    with pytest.raises(OptionError, match=r"^profile: given"):
        parse_profile(text, channels=3, side=224)


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workspace_mib": 0}, "workspace: given 0 MiB"),
        ({"optimization_level": 6}, "optimization level: given 6"),
        ({"hardware_compatibility": "any"}, "hardware compatibility: given 'any'"),
        ({"target_sms": ("sm86",)}, "TensorRT builds for the GPU it runs on"),
        ({"flavour": "tensorrt_rtx", "version_compatible": True}, "--version-compatible does not"),
        ({"flavour": "tensorrt_rtx", "dla_core": 0}, "--dla does not exist in TensorRT-RTX"),
        ({"flavour": "tensorrt_rtx", "target_sms": ("86",)}, "given '86'; expected sm86"),
        ({"flavour": "tensorrt_rtx", "target_sms": ("sm86", "sm86")}, "expected each once"),
        ({"flavour": "tensorrt_rtx", "target_sms": ("sm75", "sm86")}, "for sm75 only alone"),
        ({"flavour": "tensorrt_rtx", "target_sms": ("sm86", "current")}, "for current only alone"),
        ({"dla_core": -1}, "DLA core: given -1"),
        ({"dla_core": 0, "profiles": (UP_TO_8,)}, "a DLA runs one fixed shape"),
    ],
)
def test_options_that_cannot_be_had_are_refused_before_anything_begins(options, message):
    with pytest.raises(OptionError, match=message):
        EngineOptions(**options)


def test_a_dla_takes_one_fixed_shape():
    assert EngineOptions(dla_core=0, profiles=(FIXED,)).gpu_fallback
