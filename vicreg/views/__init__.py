"""Random views of images: settings, parameters and operations."""
