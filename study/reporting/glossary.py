"""What the words in a report mean."""

VERDICT_GLOSSARY = [
    ("healthy", "The features vary, in many directions, and a nearest-neighbour vote on them finds the class."),
    ("complete", "Every image is mapped to nearly the same point: the standard deviation has gone to zero."),
    ("dimensional", "The features vary, but only within few of their dimensions: the rank has fallen."),
    ("informational", "The dimensions vary but repeat one another: they are strongly correlated."),
    (
        "uninformative",
        "The geometry looks healthy, yet says nothing about the image: a nearest-neighbour vote is near chance, or "
        "two views of one image are no closer together, next to views of two images, than in the untrained network.",
    ),
]
GLOSSARY = [
    (
        "λ, μ, ν",
        "Weights of the invariance, variance and covariance terms of the loss.",
    ),
    (
        "Representations Y, embeddings Z",
        "Output of the encoder, on which accuracy is measured; output of the expander, on which the loss acts.",
    ),
    (
        "k-NN, k = 20",
        "Share of test images whose class a weighted vote of their 20 nearest training images finds; nothing is trained.",
    ),
    (
        "Linear, cached features",
        "Test accuracy of a linear classifier on the frozen encoder's features, encoded once without augmentation; its "
        "strength of regularisation is chosen on validation.",
    ),
    (
        "Linear, augmented",
        "The source paper's protocol: a linear classifier trained by SGD on the frozen encoder, its images augmented anew "
        "each epoch. It trains at one learning rate on features as they are, so it also measures their scale: small ones, "
        "such as an untrained network's, learn slowly.",
    ),
    (
        "Untrained control",
        "The same network with random weights, measured in the same way: what pretraining has to beat.",
    ),
    (
        "RankMe",
        "Effective number of dimensions in use: the exponential of the entropy of the normalised singular values.",
    ),
    (
        "std, emb.",
        "Standard deviation of an embedding dimension, averaged over dimensions; VICReg's hinge pulls it up to γ.",
    ),
    (
        "rms correlation",
        "Root mean square of the correlations between different dimensions; 0 is none, 1 is all alike.",
    ),
    (
        "Invariance, variance, covariance term",
        "Distance between the two views; how far dimensions fall short of a standard deviation of γ; squared covariances "
        "between dimensions.",
    ),
    (
        "View discrepancy",
        "Mean squared distance of two views of one image, over that of views of two images: 0 is all alike, 1 says "
        "nothing about the image.",
    ),
    (
        "± and difference",
        "Standard deviation over seeds; mean over seeds of (this arm − baseline), each seed with itself.",
    ),
]
