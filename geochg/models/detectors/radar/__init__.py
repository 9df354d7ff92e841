"""Change between two radar images: speckle, log ratio, likelihood ratio, threshold, water."""
