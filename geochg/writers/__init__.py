"""Features and heatmaps to files that appear whole or not at all."""
