"""Maps of features by t-SNE, and how well they keep neighbourhoods."""
