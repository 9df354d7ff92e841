"""Fine-tuning: change models learn from examples; `run.tune` is the way in."""
