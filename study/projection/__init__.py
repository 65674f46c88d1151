"""Map features by t-SNE, and measure how well neighbourhoods are kept."""
