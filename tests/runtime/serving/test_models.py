"""Several models, several versions of one, and models that take pixels."""

import dataclasses
import io
import json

import numpy as np
import onnx
import pytest
import tritonclient.http as triton
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from PIL import Image

from runtime.errors import OptionError
from runtime.onnx_files.tensor import write_tensor
from runtime.open_image import open_image
from runtime.open_runner import open_runner
from runtime.preprocess import crop_pixels
from runtime.serving.models import parse_sources


def with_second_variant(files):
    other = onnx.load_from_string(files["model.onnx"])
    for tensor in other.graph.initializer:
        if tensor.name == "w3":
            values = onnx.numpy_helper.to_array(tensor) * np.float32(2)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, "w3"))
    files["model.int8.cpu.onnx"] = other.SerializeToString()


def named(manifest):
    first = manifest.variants["fp32"]
    second = dataclasses.replace(
        first, file="model.int8.cpu.onnx", precision="int8", golden_tolerances=(1e6,)
    )
    return dataclasses.replace(manifest, variants={"fp32": first, "int8.cpu": second})


def take_pixels(model):
    graph = model.graph
    graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == "images":
                node.input[place] = "floats"
    cast = helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT)
    graph.node.insert(0, cast)


def golden_pixels(files):
    model = onnx.load_from_string(files["model.onnx"])
    pixels = np.random.default_rng(3).integers(0, 256, (2, 3, 16, 16), np.uint8)
    (logits,) = ReferenceEvaluator(model).run(None, {"images": pixels.astype(np.float32)})
    files["test_data_set_0/input_0.pb"] = write_tensor("images", pixels)
    files["test_data_set_0/output_0.pb"] = write_tensor("logits", logits)


def of_pixels(manifest):
    variant = manifest.variants["fp32"]
    taken = dataclasses.replace(variant.input, dtype="uint8")
    variant = dataclasses.replace(variant, input=taken, golden_tolerances=(0.5,))
    return dataclasses.replace(manifest, variants={"fp32": variant}, pixels="NCHW")


@pytest.fixture(scope="module")
def bundles(publish_tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    return (
        publish_tiny(folder / "two", change_files=with_second_variant, change_manifest=named),
        publish_tiny(
            folder / "pixels",
            change_files=golden_pixels,
            change_model=take_pixels,
            change_manifest=of_pixels,
        ),
        publish_tiny(folder / "fixed", shape=("4", "3", "16", "16")),
    )


def infer(server, model, images, datatype="FP32", version=""):
    given = triton.InferInput("images", list(images.shape), datatype)
    given.set_data_from_numpy(images)
    with triton.InferenceServerClient(server.url.removeprefix("http://")) as client:
        answer = client.infer(model, [given], model_version=version)
        return answer.as_numpy("logits"), answer.get_response()["model_version"]


@pytest.mark.parametrize(
    "words", [["--variant", "int8.cpu", "fp32"], ["--variant", "int8.cpu", "--variant", "fp32"]]
)
def test_variants_are_versions_of_a_model(start_server, bundles, words):
    two = bundles[0]
    images = np.random.default_rng(0).standard_normal((2, 3, 16, 16), dtype=np.float32)
    runners = {name: open_runner(two, name, threads=1) for name in ("fp32", "int8.cpu")}
    with start_server(two.folder, *words) as server:
        status, about = server.ask_json("/v2/models/two")
        assert (status, about["versions"]) == (200, ["int8.cpu", "fp32"])
        for asked, given in [("", "int8.cpu"), ("fp32", "fp32"), ("int8.cpu", "int8.cpu")]:
            logits, version = infer(server, "two", images, version=asked)
            assert version == given
            np.testing.assert_allclose(logits, runners[given].logits(images), atol=1e-5)


def test_models_that_take_pixels_or_a_fixed_batch_are_served_beside_each_other(
    start_server, bundles, photographs
):
    _, pixels, fixed = bundles
    with start_server(f"p={pixels.folder}", f"f={fixed.folder}") as server:
        (tensor,) = server.ask_json("/v2/models/p")[1]["inputs"]
        assert (tensor["datatype"], tensor["shape"]) == ("UINT8", [-1, 3, -1, -1])
        images = np.random.default_rng(0).integers(0, 256, (5, 3, 16, 16), np.uint8)
        logits, _ = infer(server, "p", images, "UINT8")
        np.testing.assert_allclose(logits, open_runner(pixels).logits(images), rtol=1e-4, atol=1e-3)

        entry = {"name": "images", "datatype": "UINT8", "shape": [1, 3, 1, 1]}
        for data, reason in [
            ([0, 1, 256], "not made of numbers of UINT8"),
            ([0, 1, -1], "not made of numbers of UINT8"),
            ([0, 1, 0.5], "not made of numbers of UINT8"),
        ]:
            request = {"inputs": [{**entry, "data": data}]}
            status, answer = server.ask_json("/v2/models/p/infer", request)
            assert status == 400
            assert reason in answer["error"]

        # The image goes the same way as a file of `classify`.
        row = crop_pixels(open_image(photographs[0]), pixels.manifest.image, "NCHW")[None]
        wanted = open_runner(pixels).logits(row)[0].argmax()
        answer = json.loads(server.ask("/classify?model=p&top=1", photographs[0].read_bytes())[2])
        assert answer["classes"][0]["index"] == wanted

        (tensor,) = server.ask_json("/v2/models/f")[1]["inputs"]
        assert tensor["shape"] == [-1, 3, 16, 16]
        images = np.random.default_rng(0).standard_normal((6, 3, 16, 16), dtype=np.float32)
        logits, _ = infer(server, "f", images)
        runner = open_runner(fixed)
        wanted = np.concatenate([runner.logits(images[:4]), runner.logits(images[2:])[2:]])
        np.testing.assert_allclose(logits, wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("query", "reason"),
    [("top=0", "top: given '0'"), ("top=x", "top: given 'x'"), ("version=7", "no version '7'")],
)
def test_question_about_an_image_that_makes_no_sense_is_the_clients_fault(server, query, reason):
    status, _, answer = server.ask(f"/classify?{query}", b"")
    assert status in (400, 404)
    assert reason in json.loads(answer)["error"]


def upload(data, boundary="b", name='name="image"; filename="a.png"'):
    head = f"--{boundary}\r\nContent-Disposition: form-data; {name}\r\n\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return head + data + f"\r\n--{boundary}--\r\n".encode(), kind


def test_uploaded_image_is_classified_like_a_file_and_a_broken_one_is_told(server, photographs):
    data = photographs[0].read_bytes()
    raw = json.loads(server.ask("/classify", data)[2])
    form = json.loads(server.ask("/classify", *upload(data))[2])
    assert raw["classes"] == form["classes"]
    assert form["image"] == "a.png"
    for body, headers, reason in [
        (*upload(data[:-2000]), "a.png: cannot be read"),
        (*upload(b"no image"), "a.png: not an image of a known format"),
        (*upload(data, name='name="text"'), "the form holds no file"),
        (b"--c\r\n", upload(b"")[1], "Invalid multipart data"),
        (b"", {}, "image: not an image of a known format"),
        (b"x", {"Content-Type": "multipart/form-data"}, "boundary"),
    ]:
        status, _, answer = server.ask("/classify", body, headers)
        assert status == 400, reason
        assert reason in json.loads(answer)["error"]


def test_image_beyond_the_pixels_allowed_is_refused_from_its_header(start_server, tiny_bundle):
    held = io.BytesIO()
    Image.new("1", (1200, 1000)).save(held, "PNG")
    with start_server(tiny_bundle.folder, "--max-megapixels", 1) as server:
        status, _, answer = server.ask("/classify", held.getvalue())
        assert status == 400
        assert "1200x1000 pixels; expected at most 1000000" in json.loads(answer)["error"]


def test_name_is_the_folders_unless_another_is_given(tmp_path):
    (tmp_path / "a=b").mkdir()
    (tmp_path / "c").mkdir()
    words = [f"x={tmp_path / 'c'}", str(tmp_path / "c") + "/."]
    assert [source.name for source in parse_sources(words)] == ["x", "c"]
    with pytest.raises(OptionError, match="'a=b' cannot be part of a URL"):
        parse_sources([str(tmp_path / "a=b")])
