"""Models for other programs: ONNX, torch.export, safetensors."""
