"""Checks of what comes from others or would go to them: text, numbers, code, telemetry."""
