"""Exporting models to ONNX, torch.export and safetensors."""
