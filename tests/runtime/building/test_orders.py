import dataclasses

import pytest

from runtime.building.orders import EngineRequest, decide_options, order_engines
from runtime.engines.options import EngineOptions
from runtime.errors import OptionError
from runtime.precision import PrecisionPromise

RTX = EngineOptions(flavour="tensorrt_rtx")


@pytest.fixture
def order(promising_bundle):
    manifest = promising_bundle.manifest

    def order_one(request, variants=manifest.variants):
        return order_engines(variants, manifest.image, request)

    return order_one


def test_each_variant_gets_an_engine_with_a_profile_of_its_images(order):
    (ordered,) = order(EngineRequest())
    assert ordered.name == "fp32-trt"
    assert ordered.engine.file == "fp32-trt.plan"
    assert ordered.engine.info_file == "fp32-trt.plan.json"
    assert [str(p) for p in ordered.options.profiles] == ["1x3x16x16:8x3x16x16:32x3x16x16"]


def test_profiles_are_those_that_were_asked_for(order):
    (ordered,) = order(EngineRequest(profiles=("1:2:4", "8")))
    assert [p.largest[0] for p in ordered.options.profiles] == [4, 8]


def test_turing_gets_an_engine_of_its_own(order):
    ordered = order(EngineRequest(options=RTX, targets=("sm86", "sm75", "sm89")))
    assert [(o.name, o.options.target_sms) for o in ordered] == [
        ("fp32-rtx-sm75", ("sm75",)),
        ("fp32-rtx", ("sm86", "sm89")),
    ]


@pytest.mark.parametrize(("targets", "names"), [((), ["fp32-rtx"]), (("sm75",), ["fp32-rtx-sm75"])])
def test_one_kind_of_target_makes_one_engine(order, targets, names):
    assert [o.name for o in order(EngineRequest(options=RTX, targets=targets))] == names


def test_an_engine_for_a_dla_is_told_from_that_for_the_gpu(order):
    (ordered,) = order(EngineRequest(options=EngineOptions(dla_core=1), profiles=("4",)))
    assert ordered.name == "fp32-trt-dla1"


def test_a_dla_with_a_range_of_batches_is_refused(order):
    with pytest.raises(OptionError, match="a DLA runs one fixed shape"):
        order(EngineRequest(options=EngineOptions(dla_core=0), profiles=("1:2:4",)))


@pytest.mark.parametrize("profile", ["4:2:1", "0:1:2", "1:2", "1x9x16x16"])
def test_a_profile_that_cannot_be_is_refused(order, profile):
    with pytest.raises(OptionError, match="profile: given"):
        order(EngineRequest(profiles=(profile,)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"profiles": ("8:4:2",)}, "profile: given 8:4:2"),
        ({"targets": ("sm86", "sm86")}, "expected each once"),
        ({"targets": ("sm75", "current", "sm86")}, "builds for current only alone"),
        ({"targets": ("ampere",)}, "expected sm86 or the like"),
    ],
)
def test_a_request_that_no_bundle_can_fulfil_is_none(wrong, message):
    with pytest.raises(OptionError, match=message):
        EngineRequest(options=RTX, **wrong)


def test_a_profile_of_another_shape_than_the_graphs_is_refused(promising_bundle):
    image = promising_bundle.manifest.image
    with pytest.raises(OptionError, match="the graph takes images 2x3x16x16"):
        decide_options(("2", "3", "16", "16"), image, EngineRequest(profiles=("1:2:4",)))


def test_a_variant_that_tensorrt_misreads_gets_no_engine(order, promising_bundle):
    fp32 = promising_bundle.manifest.variants["fp32"]
    variants = {"fp32": fp32, "int8-cpu": dataclasses.replace(fp32, convolutions=None)}
    assert [o.name for o in order(EngineRequest(), variants)] == ["fp32-trt"]
    with pytest.raises(OptionError, match="does not read the variant 'int8-cpu' as it is meant"):
        order(EngineRequest(variants=("int8-cpu",)), variants)


def test_a_bundle_that_promises_nothing_has_to_be_exported_again(order, tiny_bundle):
    with pytest.raises(OptionError, match="export the model again"):
        order(EngineRequest(), tiny_bundle.manifest.variants)


def test_a_variant_that_is_not_there_is_refused_with_those_that_are(order):
    with pytest.raises(OptionError, match="no variant 'fp64'; it has: fp32"):
        order(EngineRequest(variants=("fp64",)))


@pytest.mark.parametrize("profiles", [(), ("1:8:32",)])
def test_an_engine_of_pixels_gets_a_profile_in_their_layout(publish_tiny, tmp_path, profiles):
    promise = PrecisionPromise(height=16, width=16, macs={"float32": 1})

    def add(manifest):
        fp32 = dataclasses.replace(manifest.variants["fp32"], convolutions=promise)
        return dataclasses.replace(manifest, variants={"fp32": fp32})

    manifest = publish_tiny(tmp_path / "b", pixels="NHWC", change_manifest=add).manifest
    request = EngineRequest(profiles=profiles)
    (ordered,) = order_engines(manifest.variants, manifest.image, request, manifest.pixels)
    assert [str(p) for p in ordered.options.profiles] == ["1x16x16x3:8x16x16x3:32x16x16x3"]
