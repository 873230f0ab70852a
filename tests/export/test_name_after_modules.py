def test_nodes_and_values_have_the_names_of_the_modules(resnet18_graph):
    names = {node.name for node in resnet18_graph.graph}
    assert {"conv1", "layer1.0.conv1", "layer3.0.downsample.0", "layer4.1.add", "avgpool"} <= names
    conv = next(node for node in resnet18_graph.graph if node.name == "layer3.0.conv2")
    assert conv.op_type == "Conv"
    assert conv.outputs[0].name == "layer3.0.conv2"
