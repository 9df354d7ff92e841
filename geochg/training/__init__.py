"""Training: the stages of the built-in model, fine-tuning, checkpoints and cards."""
