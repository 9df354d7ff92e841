"""What runs a DeltaVLM: torch on any device, ONNX Runtime on a CPU."""
