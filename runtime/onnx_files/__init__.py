"""ONNX's files, read and written without onnx: models, tensors, and the protobuf beneath them."""
