"""Runs a DeltaVLM: by torch on any device, by ONNX Runtime on a CPU."""
