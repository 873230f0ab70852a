import json

from runtime.image_spec import ImageSpec
from runtime.onnx_files.metadata_props import metadata_props


def test_metadata_carries_preprocessing_and_labels_as_json():
    image = ImageSpec(resize=256, crop=224, mean=(0.5,), std=(0.25,), channels="L")
    props = metadata_props(image, ("Kätzchen", "dog"))
    assert json.loads(props["resnet-deploy.labels"]) == ["Kätzchen", "dog"]
    fields = json.loads(props["resnet-deploy.image"])
    assert fields["resize"] == 256
    assert fields["mean"] == [0.5]
    assert fields["channels"] == "L"


def test_metadata_says_that_a_graph_takes_pixels():
    image = ImageSpec(resize=4, crop=4, mean=(0,), std=(1,), channels="L")
    assert metadata_props(image, (), "NHWC")["resnet-deploy.pixels"] == "NHWC"
    assert "resnet-deploy.pixels" not in metadata_props(image, ())
