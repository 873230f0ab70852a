import pytest

from runtime.engines.options import EngineOptions
from runtime.engines.profile import Profile
from runtime.errors import OptionError

UP_TO_8 = Profile(smallest=(1, 3, 224, 224), tuned=(4, 3, 224, 224), largest=(8, 3, 224, 224))
FIXED = Profile(smallest=(4, 3, 224, 224), tuned=(4, 3, 224, 224), largest=(4, 3, 224, 224))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workspace_mib": 0}, "workspace: given 0 MiB"),
        ({"workspace_mib": 10**20}, "MiB; expected 1 to 16,777,216"),
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
