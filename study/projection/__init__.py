"""Features of images on a map: t-SNE, and how much of the neighbourhoods it keeps."""
