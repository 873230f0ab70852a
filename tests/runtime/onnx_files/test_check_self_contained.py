import tracemalloc

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.errors import BundleError
from runtime.onnx_files.check_self_contained import check_self_contained
from runtime.onnx_files.protobuf import encode_bytes, encode_varint


def outside(name="w"):
    """Return a tensor that keeps its data in another file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret.bin")
    return tensor


def inside():
    return numpy_helper.from_array(np.ones(1, np.float32), "w")


def graph(nodes=(), **parts):
    return helper.make_graph(nodes, "g", [], [], **parts)


def sparse(tensor):
    return onnx.SparseTensorProto(values=tensor, indices=inside(), dims=[1])


def node(**attributes):
    return helper.make_node("Op", [], ["y"], **attributes)


def function(tensor):
    made = onnx.FunctionProto(name="f", domain="d")
    made.node.append(node(value=tensor))
    return made


def with_function_default(tensor):
    made = onnx.FunctionProto(name="f", domain="d")
    made.attribute_proto.append(helper.make_attribute("value", tensor))
    return made


def model(of, **parts):
    return helper.make_model(of, **parts)


def trained(tensor):
    made = model(graph())
    made.training_info.add().algorithm.CopyFrom(graph(initializer=[tensor]))
    return made


PLACES = {
    "initializer": lambda t: model(graph(initializer=[t])),
    "sparse initializer": lambda t: model(graph(sparse_initializer=[sparse(t)])),
    "attribute": lambda t: model(graph([node(value=t)])),
    "list attribute": lambda t: model(graph([node(values=[inside(), t])])),
    "sparse attribute": lambda t: model(graph([node(value=sparse(t))])),
    "inner graph": lambda t: model(graph([node(body=graph(initializer=[t]))])),
    "one of inner graphs": lambda t: model(graph([node(bodies=[graph(), graph([node(v=t)])])])),
    "function": lambda t: model(graph(), functions=[function(t)]),
    "default of a function": lambda t: model(graph(), functions=[with_function_default(t)]),
    "training": trained,
}


@pytest.mark.parametrize("place", PLACES)
def test_tensor_with_its_data_elsewhere_is_named_wherever_it_hides(place):
    with pytest.raises(BundleError, match=r"tensor 'w' has its data in the file '\.\./\.\./secret"):
        check_self_contained(PLACES[place](outside()).SerializeToString())


@pytest.mark.parametrize("place", PLACES)
def test_tensor_that_holds_its_data_passes(place):
    check_self_contained(PLACES[place](inside()).SerializeToString())


def test_deeply_nested_graphs_are_walked_without_recursion():
    inner = graph(initializer=[outside()]).SerializeToString()
    for _ in range(3000):
        # AttributeProto.g in NodeProto.attribute in GraphProto.node
        inner = encode_bytes(1, encode_bytes(5, encode_bytes(6, inner)))
    with pytest.raises(BundleError, match="tensor 'w'"):
        check_self_contained(encode_bytes(7, inner))


@pytest.mark.parametrize(
    "tensor",
    [
        encode_varint(14, 1),
        encode_varint(14, (1 << 32) + 1),  # protobuf keeps the lower half
        encode_varint(14, 1) + encode_varint(14, 0),
        encode_bytes(13, b""),
    ],
)
def test_any_trace_of_external_data_is_refused(tensor):
    with pytest.raises(BundleError, match="has its data in the file"):
        check_self_contained(encode_bytes(7, encode_bytes(5, tensor)))


def test_graph_that_comes_in_two_parts_is_walked_in_both():
    parts = encode_bytes(7, graph().SerializeToString()) + encode_bytes(
        7, graph(initializer=[outside()]).SerializeToString()
    )
    assert onnx.ModelProto.FromString(parts).graph.initializer  # protobuf merges them
    with pytest.raises(BundleError, match="tensor 'w'"):
        check_self_contained(parts)


def test_what_is_no_model_is_refused():
    for data in (b"not a model at all", b"\x38\x01", b"\x3a\x7f"):
        with pytest.raises(BundleError, match="not a"):
            check_self_contained(data)


def test_weights_are_skipped_not_copied():
    tensor = numpy_helper.from_array(np.zeros(1_000_000, np.float32), "w")
    data = model(graph(initializer=[tensor] * 10)).SerializeToString()
    tracemalloc.start()
    check_self_contained(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000 < len(data)
