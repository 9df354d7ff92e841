"""Heads that learn from a review what counts as a change."""
