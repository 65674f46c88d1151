"""Random views of images: what they are drawn from, their parameters, and the operations that make them."""
