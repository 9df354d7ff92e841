"""Fine-tuning of change models on rows of pairs, questions and answers."""

CARD = "card.json"
"""The card of a tuned model or adapter, for programs."""
