"""The dock with its widgets and controllers."""
