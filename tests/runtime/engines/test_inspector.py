"""What the inspector writes, in both schemas.

No document here was recorded on a GPU: they were written by hand, after NVIDIA's documentation, for
the three convolutions of one imagined network.
"""

import json

import pytest

from runtime.engines.inspector import read_precision
from runtime.errors import EngineError

STEM, BLOCK, LAST = 64 * 3 * 49 * 112 * 112, 64 * 64 * 9 * 56 * 56, 512 * 64 * 28 * 28


def tensor_10(name, shape, kind):
    return {"Name": name, "Location": "Device", "Dimensions": shape, "Format/Datatype": kind}


def tensor_11(name, shape, kind):
    names = {"Name": name, "Location": "Device", "Dimensions": shape}
    return names | {"Format": "Row major linear format (kLINEAR)", "DataType": kind}


def convolution(tensor, name, kind, count, shape, batch=1):
    return {
        "Name": f"{name} + {name}.relu",
        "LayerType": "CaskConvolution",
        "Inputs": [tensor(f"{name}.input", [batch, 3, 8, 8], kind)],
        "Outputs": [tensor(f"{name}.output", [batch, *shape], kind)],
        "ParameterType": "Convolution",
        "Kernel": [3, 3],
        "Groups": 1,
        "Weights": {"Type": kind, "Count": count},
        "Bias": {"Type": "Float", "Count": shape[0]},
        "HasReLU": 1,
        "TacticName": "sm80_xmma_fprop_implicit_gemm",
        "Metadata": f"[ONNX Layer: {name}]\x1e[ONNX Layer: {name}.relu]",
    }


def layers(tensor, batch=1):
    reformat = {
        "Name": "Reformatting CopyNode for Input Tensor 0 to stem",
        "LayerType": "Reformat",
        "Inputs": [tensor("images", [batch, 3, 224, 224], "Float")],
        "Outputs": [tensor("copy", [batch, 3, 224, 224], "Int8")],
        "ParameterType": "Reformat",
        "Origin": "QDQ",
    }
    return [
        reformat,
        convolution(tensor, "stem", "Half", 64 * 3 * 49, [64, 112, 112], batch),
        convolution(tensor, "layer1.0.conv1", "Int8", 64 * 64 * 9, [64, 56, 56], batch),
        convolution(tensor, "last", "Float", 512 * 64, [512, 28, 28], batch),
        {"Name": "__myl_MeanFlat", "LayerType": "kgen", "Inputs": [], "Outputs": []},
    ]


def schema_10(batch=1):
    return json.dumps({"Layers": layers(tensor_10, batch), "Bindings": ["images", "logits"]})


def schema_11(batch=1):
    io = {"IOMode": "Input", "DataType": "Float", "Location": "Device", "ProfileInfo": []}
    tensors = [{"Name": name, **io} for name in ("images", "logits")]
    return json.dumps({"Layers": layers(tensor_11, batch), "I/O Tensors": tensors})


@pytest.mark.parametrize("document", [schema_10(), schema_11(), schema_10(-1), schema_11(8)])
def test_both_schemas_tell_the_work_in_each_precision_whatever_the_batch(document):
    assert read_precision(document) == {"float16": STEM, "int8": BLOCK, "float32": LAST}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "is not JSON"),
        ("[]", "of no schema"),
        ('{"Layers": []}', "of no schema"),
        ('{"Layers": {}, "Bindings": []}', "of no schema"),
        ('{"Layers": ["stem + relu"], "Bindings": []}', "without details"),
        (schema_10().replace('"Count"', '"Number"'), "layer 'stem .* is unreadable"),
        (schema_10().replace("[1, 64, 112, 112]", "[1, 64, -1, 112]"), "no size for 'stem"),
    ],
)
def test_a_document_that_does_not_tell_is_refused(document, message):
    with pytest.raises(EngineError, match=message):
        read_precision(document)
