import onnx
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from runtime.errors import BundleError
from runtime.onnx_files.metadata_props import metadata_props
from runtime.onnx_files.read_onnx import read_onnx
from runtime.variant import TensorInfo


def test_outside_of_a_model_is_read(tiny_bundle):
    manifest = tiny_bundle.manifest
    file = read_onnx(tiny_bundle.read("model.onnx"))
    assert file.inputs == (manifest.variants["fp32"].input,)
    assert file.outputs == (manifest.variants["fp32"].output,)
    assert file.opset == 18
    assert file.metadata == metadata_props(manifest.image, manifest.labels)


def test_dimensions_are_numbers_or_names_as_the_file_has_them():
    inputs = [
        helper.make_tensor_value_info("a", TensorProto.FLOAT16, [1, "n", 0]),
        helper.make_tensor_value_info("b", TensorProto.BOOL, []),
    ]
    model = helper.make_model(
        helper.make_graph([], "g", inputs, []),
        opset_imports=[helper.make_opsetid("com.example", 3), helper.make_opsetid("", 21)],
    )
    file = read_onnx(model.SerializeToString())
    assert file.inputs[0] == TensorInfo(name="a", dtype="float16", shape=("1", "n", "0"))
    assert str(file.inputs[1]) == "b type 9[]"
    assert file.outputs == ()
    assert file.opset == 21


def test_text_that_is_no_unicode_does_no_harm():
    model = onnx.ModelProto().SerializeToString() + b"\x72\x04\x0a\x02\xff\xfe"
    assert read_onnx(model).metadata == {"��": ""}


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(data):
    try:
        read_onnx(data)
    except BundleError:
        return
