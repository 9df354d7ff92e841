"""Training: pairs drawn ahead, the stages of the built-in model, checkpoints and cards."""
