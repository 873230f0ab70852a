"""What the server says to clients of the protocol, one of which no one here wrote."""

import json
import zlib

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from runtime.open_runner import open_runner
from runtime.serving.parse_request import HEADER_LENGTH


@pytest.fixture(scope="module")
def client(server):
    with triton.InferenceServerClient(server.url.removeprefix("http://")) as one:
        yield one


@pytest.fixture(scope="module")
def runner(tiny_bundle):
    return open_runner(tiny_bundle, threads=1)


def random_images(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def as_input(images, *, binary=True, name="images", datatype="FP32"):
    made = triton.InferInput(name, list(images.shape), datatype)
    made.set_data_from_numpy(images, binary_data=binary)
    return made


def as_request(images, **more):
    entry = {"name": "images", "datatype": "FP32", "shape": list(images.shape)}
    return {"inputs": [{**entry, "data": images.ravel().tolist()}], **more}


def test_client_finds_the_server_live_ready_and_described(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    assert client.is_model_ready("tiny", "fp32")
    assert not client.is_model_ready("other")
    assert not client.is_model_ready("tiny", "int8.cpu")
    about = client.get_server_metadata()
    assert about["name"] == "resnet-deploy"
    assert "binary_tensor_data" in about["extensions"]
    assert client.get_model_metadata("tiny") == {
        "name": "tiny",
        "versions": ["fp32"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "images", "datatype": "FP32", "shape": [-1, 3, -1, -1]}],
        "outputs": [{"name": "logits", "datatype": "FP32", "shape": [-1, 10]}],
    }
    index = client.get_model_repository_index()
    assert index == [{"name": "tiny", "version": "fp32", "state": "READY"}]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("shape", [(1, 3, 16, 16), (5, 3, 20, 17)])
def test_client_gets_what_the_model_computes(client, runner, binary_in, binary_out, shape):
    images = random_images(*shape)
    wanted = triton.InferRequestedOutput("logits", binary_data=binary_out)
    answer = client.infer(
        "tiny", [as_input(images, binary=binary_in)], outputs=[wanted], request_id="café 7"
    )
    np.testing.assert_allclose(answer.as_numpy("logits"), runner.logits(images), atol=1e-5)
    response = answer.get_response()
    assert (response["model_name"], response["model_version"]) == ("tiny", "fp32")
    assert response["id"] == "café 7"


def test_client_that_names_no_output_gets_all_of_them(client, runner):
    images = random_images(2, 3, 16, 16)
    answer = client.infer("tiny", [as_input(images)], model_version="fp32")
    np.testing.assert_allclose(answer.as_numpy("logits"), runner.logits(images), atol=1e-5)


@pytest.mark.parametrize("binary", [True, False])
def test_client_can_ask_for_classes(client, runner, tiny_bundle, binary):
    images = random_images(2, 3, 16, 16)
    wanted = triton.InferRequestedOutput("logits", binary_data=binary, class_count=3)
    answer = client.infer("tiny", [as_input(images)], outputs=[wanted]).as_numpy("logits")
    assert answer.shape == (2, 3)
    first = answer[0, 0].decode() if binary else answer[0, 0]
    score, index, label = first.split(":")
    logits = runner.logits(images)[0]
    assert int(index) == logits.argmax()
    assert float(score) == pytest.approx(logits.max(), abs=1e-5)
    assert label == tiny_bundle.manifest.labels[int(index)]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_client_may_compress_what_it_sends(client, runner, coding):
    images = random_images(1, 3, 16, 16)
    answer = client.infer("tiny", [as_input(images)], request_compression_algorithm=coding)
    np.testing.assert_allclose(answer.as_numpy("logits"), runner.logits(images), atol=1e-5)


def test_nested_data_is_as_good_as_flat(server, runner):
    images = random_images(2, 3, 4, 5)
    request = as_request(images)
    request["inputs"][0]["data"] = images.tolist()
    status, answer = server.ask_json("/v2/models/tiny/infer", request)
    assert status == 200
    (output,) = answer["outputs"]
    assert output["shape"] == [2, 10]
    np.testing.assert_allclose(output["data"], runner.logits(images).ravel(), atol=1e-5)
    assert "id" not in answer


IMAGES = random_images(1, 3, 8, 8)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (as_input(IMAGES, name="image"), "given [\"image\"]; expected one, named 'images'"),
        (
            as_input(IMAGES.astype(np.float64), datatype="FP64"),
            'given datatype "FP64"; expected FP32',
        ),
        (as_input(IMAGES[0]), "given shape [3, 8, 8]; expected [-1, 3, -1, -1]"),
        (as_input(IMAGES[:, :1]), "given shape [1, 1, 8, 8]; expected [-1, 3, -1, -1]"),
        (as_input(random_images(9, 3, 8, 8)), "given a batch of 9; expected at most 8"),
        (as_input(np.full_like(IMAGES, np.nan)), "image 0 holds NaN or infinity"),
        (as_input(np.full_like(IMAGES, np.inf)), "image 0 holds NaN or infinity"),
    ],
)
def test_what_the_model_cannot_take_is_the_clients_fault(client, given, reason):
    with pytest.raises(InferenceServerException) as error:
        client.infer("tiny", [given])
    assert error.value.status() == "400"
    assert reason in error.value.message()


def test_models_and_versions_that_are_not_there_are_404_and_tell_what_is(server):
    assert server.ask_json("/v2/models/big/infer", {}) == (
        404,
        {"error": "no model 'big'; expected one of tiny"},
    )
    assert server.ask_json("/v2/models/tiny/versions/2") == (
        404,
        {"error": "'tiny' has no version '2'; it has: fp32"},
    )


def changed(**changes):
    request = as_request(IMAGES)
    request["inputs"][0].update(changes)
    return request


MALFORMED = {
    "no JSON": (b"{", "the body is no JSON"),
    "no text": (b"\xff\xfe", "the body is no JSON"),
    "deep": (b"[" * 200_000, "the body is no JSON"),
    "no object": (b"[]", "given []; expected a JSON object"),
    "nothing": (b"", "the body is no JSON"),
    "NaN literal": (b'{"inputs": NaN}', "NaN is not a JSON number"),
    "no inputs": ({}, "given []; expected one, named 'images'"),
    "inputs of another kind": ({"inputs": 7}, "given []; expected one, named 'images'"),
    "two inputs": ({"inputs": as_request(IMAGES)["inputs"] * 2}, "expected one"),
    "no shape": (changed(shape=None), "given shape None"),
    "negative size": (changed(shape=[1, 3, -8, 8]), "given shape [1, 3, -8, 8]"),
    "size zero": (changed(shape=[0, 3, 8, 8]), "given shape [0, 3, 8, 8]"),
    "size of another kind": (changed(shape=[1, 3, 8.0, True]), "given shape"),
    "enormous": (changed(shape=[8, 3, 10**9, 10**9]), "expected at most 50000000 in a request"),
    "too few": (changed(data=[1.0]), "given data of [1]; expected [1, 3, 8, 8]"),
    "transposed": (changed(data=np.moveaxis(IMAGES, 1, 3).tolist()), "given data of [1, 8, 8, 3]"),
    "ragged": (changed(data=[[1.0], [1.0, 2.0]]), "not made of numbers"),
    "texts": (changed(data=["1"] * 192), "not made of numbers"),
    "booleans": (changed(data=[True] * 192), "not made of numbers"),
    "null": (changed(data=None), "not made of numbers"),
    "beyond float32": (changed(data=[1e300] * 192), "NaN or infinity"),
    "beyond float64": (changed(data=[10**400] * 192), "not made of numbers"),
    "no data": (
        {"inputs": [{"name": "images", "datatype": "FP32", "shape": [1, 3, 8, 8]}]},
        "data",
    ),
    "both": (changed(parameters={"binary_data_size": 4}), "both"),
    "parameters of another kind": (changed(parameters=[1]), "parameters"),
    "shared memory": (changed(parameters={"shared_memory_region": "x"}), "not supported"),
    "id of another kind": (as_request(IMAGES, id=7), "id: given 7"),
    "unknown output": (as_request(IMAGES, outputs=[{"name": "x"}]), "expected of logits"),
    "output twice": (as_request(IMAGES, outputs=[{"name": "logits"}] * 2), "asked for twice"),
    "outputs of another kind": (as_request(IMAGES, outputs=[[]]), "expected of logits"),
    "negative classes": (
        as_request(IMAGES, outputs=[{"name": "logits", "parameters": {"classification": -1}}]),
        "classification",
    ),
}


@pytest.mark.parametrize("fault", MALFORMED)
def test_malformed_request_is_400_with_a_reason_in_one_line(server, fault):
    body, reason = MALFORMED[fault]
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, headers, answer = server.ask("/v2/models/tiny/infer", data)
    assert (status, headers["Content-Type"]) == (400, "application/json")
    error = json.loads(answer)["error"]
    assert reason in error
    assert "\n" not in error
    assert len(error) < 400


BINARY = json.dumps(
    {
        "inputs": [
            {
                "name": "images",
                "datatype": "FP32",
                "shape": [1, 3, 8, 8],
                "parameters": {"binary_data_size": IMAGES.nbytes},
            }
        ]
    }
).encode()


@pytest.mark.parametrize(
    ("length", "body", "reason"),
    [
        (str(len(BINARY)), BINARY + IMAGES.tobytes()[:-4], "764 bytes after the JSON"),
        (str(len(BINARY)), BINARY + IMAGES.tobytes() + b"....", "772 bytes after the JSON"),
        (str(len(BINARY)), BINARY, "0 bytes after the JSON"),
        (str(len(BINARY) + 1), BINARY + IMAGES.tobytes(), "no JSON"),
        ("0", BINARY + IMAGES.tobytes(), "expected the length of the JSON"),
        ("-1", BINARY + IMAGES.tobytes(), "expected the length of the JSON"),
        ("many", BINARY + IMAGES.tobytes(), "expected the length of the JSON"),
        ("9" * 400, BINARY + IMAGES.tobytes(), "expected the length of the JSON"),
        (f"{1:018}" + "9" * 5000, BINARY + IMAGES.tobytes(), "expected the length of the JSON"),
    ],
)
def test_binary_request_whose_lengths_disagree_is_400(server, length, body, reason):
    status, _, answer = server.ask("/v2/models/tiny/infer", body, {HEADER_LENGTH: length})
    assert status == 400
    assert reason in json.loads(answer)["error"]


def test_compressed_body_that_is_none_or_a_bomb_is_refused(server):
    bomb = zlib.compress(bytes(100 << 20))
    for body, coding, status, reason in [
        (b"no gzip", "gzip", 400, "no gzip"),
        (bomb[:1000], "deflate", 400, "cut short"),
        (bomb, "deflate", 413, "inflates to more than 4 MiB"),
        (b"", "br", 415, "expected gzip, deflate"),
    ]:
        headers = {"Content-Encoding": coding}
        given, _, answer = server.ask("/v2/models/tiny/infer", body, headers)
        assert given == status
        assert reason in json.loads(answer)["error"]


def test_path_or_method_that_is_not_there_is_an_error_object(server):
    assert server.ask_json("/v3") == (404, {"error": "GET /v3: Not Found"})
    assert server.ask_json("/v2/models/tiny/infer")[0] == 405
