import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import TensorProto, numpy_helper

from runtime.errors import BundleError
from runtime.onnx_files.tensor import read_tensor, write_tensor

DTYPES = [np.float32, np.float64, np.float16, np.int64, np.int32, np.int8, np.uint8]
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0))
)
TYPED = {
    TensorProto.FLOAT: np.float32,
    TensorProto.DOUBLE: np.float64,
    TensorProto.FLOAT16: np.float16,
    TensorProto.INT64: np.int64,
    TensorProto.INT32: np.int32,
    TensorProto.INT8: np.int8,
    TensorProto.UINT8: np.uint8,
}


def same(one, other):
    return (
        one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    )


@given(ARRAYS)
def test_tensor_of_onnx_is_read_bit_for_bit(array):
    assert same(read_tensor(numpy_helper.from_array(array, "x").SerializeToString()), array)


@given(ARRAYS)
def test_tensor_of_ours_is_read_by_onnx_bit_for_bit(array):
    tensor = TensorProto.FromString(write_tensor("images", array))
    assert tensor.name == "images"
    assert same(numpy_helper.to_array(tensor), array)


@pytest.mark.parametrize("code", TYPED)
def test_typed_fields_are_read_like_raw_data(code):
    array = np.array([[0, 1, 100], [-1 if code != TensorProto.UINT8 else 255, 7, 2]], TYPED[code])
    values = array.view(np.uint16) if code == TensorProto.FLOAT16 else array
    tensor = TensorProto(data_type=code, dims=array.shape)
    field = {
        TensorProto.FLOAT: tensor.float_data,
        TensorProto.DOUBLE: tensor.double_data,
        TensorProto.INT64: tensor.int64_data,
    }.get(code, tensor.int32_data)
    field.extend(values.ravel().tolist())
    assert same(numpy_helper.to_array(tensor), array)
    assert same(read_tensor(tensor.SerializeToString()), array)


def test_array_is_the_readers_to_change():
    array = read_tensor(write_tensor("x", np.zeros(3, np.float32)))
    array[0] = 1
    assert array.flags.owndata


def test_array_in_any_memory_order_is_written_in_row_order():
    array = np.arange(6, dtype=">f4").reshape(2, 3).T
    assert np.array_equal(read_tensor(write_tensor("x", array)), array)


def test_dtype_without_a_place_in_the_file_is_refused():
    with pytest.raises(BundleError, match="cannot write a tensor of complex128"):
        write_tensor("x", np.zeros(3, np.complex128))


def tensor(**fields):
    made = TensorProto(data_type=TensorProto.FLOAT, dims=[2], raw_data=bytes(8))
    for name, value in fields.items():
        made.ClearField(name)
        getattr(made, name).extend(value) if isinstance(value, list) else setattr(made, name, value)
    return made.SerializeToString()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (tensor(dims=[3]), r"holds 2 elements; expected 3 for its dimensions \[3\]"),
        (tensor(dims=[1]), "holds 2 elements; expected 1"),
        (tensor(dims=[]), "holds 2 elements; expected 1"),
        (tensor(dims=[-2]), r"dimensions begin \[-2\]; expected at most 8 of them"),
        (tensor(dims=[-1, -2]), r"dimensions begin \[-1, -2\]"),
        (tensor(dims=[2**62, 2**62]), "dimensions begin"),
        (tensor(dims=[2**31 - 1] * 8), "holds 2 elements; expected"),
        (tensor(dims=[0] + [2**31 - 1] * 7, raw_data=b""), r"the tensor's dimensions are \[0, 214"),
        (tensor(dims=[1] * 9), "at most 8 of them"),
        (tensor(raw_data=bytes(7)), "holds 7 bytes; expected a multiple of 4"),
        (tensor(data_type=TensorProto.STRING), "data type is 8; expected one of 1"),
        (tensor(data_type=0), "data type is 0"),
        (tensor(data_location=TensorProto.EXTERNAL), "keeps its data elsewhere"),
        (
            tensor(
                external_data=[onnx.StringStringEntryProto(key="location", value="/etc/passwd")]
            ),
            "keeps its data elsewhere",
        ),
        (b"", "data type is 0"),
        (b"not a tensor", "not a"),
        (b"\x08", "cut short"),
        (b"\x80" * 20, "more than ten bytes"),
        (b"\x0b", "wire type 3"),
        (b"\x4a\xff\xff\xff\xff\x0f", "cut short"),
        (b"\x48\x01\x10\x01", "a number where bytes are expected"),
        (b"\x12\x01\x01", "data type is no number"),
    ],
)
def test_hostile_tensor_is_refused_in_one_line(data, message):
    with pytest.raises(BundleError, match=message) as caught:
        read_tensor(data)
    assert "\n" not in str(caught.value)


def test_integer_that_its_type_cannot_hold_is_refused():
    made = TensorProto(data_type=TensorProto.UINT8, dims=[1], int32_data=[256])
    with pytest.raises(BundleError, match="numbers that are no uint8"):
        read_tensor(made.SerializeToString())


def test_file_cut_short_anywhere_is_refused():
    data = write_tensor("images", np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    for length in range(len(data)):
        with pytest.raises(BundleError):
            read_tensor(data[:length])


@given(st.binary(max_size=64) | st.tuples(st.integers(0, 31), st.integers(0, 255)))
def test_damaged_file_gives_an_array_or_an_error_of_ours(damage):
    whole = bytearray(write_tensor("x", np.arange(4, dtype=np.float32)))
    if isinstance(damage, tuple):
        whole[damage[0] % len(whole)] = damage[1]
    try:
        read_tensor(bytes(damage) if isinstance(damage, bytes) else bytes(whole))
    except BundleError:
        return
