"""What the words in a report mean."""

from collections.abc import Mapping

from study.reporting.terms import VICREG, VICREG_ENTRY, WEIGHTS_ENTRY, titled
from study.results.schema import TermDescription

TYPE_GLOSSARY = [
    ("healthy", "No test names a collapse."),
    (
        "complete",
        "The embeddings hardly vary from image to image: their mean standard deviation is below a tenth of the loss's "
        "target, or nearly all of them point one way.",
    ),
    (
        "dimensional",
        "The features use few directions. Most dimensions of the embeddings are constant, or RankMe of the embeddings or of "
        "the representations is below 4.",
    ),
    ("informational", "The embeddings' dimensions repeat one another: their root-mean-square correlation is above 0.5."),
    (
        "view-dependent",
        "Two views of an image lie further apart than in the untrained network, relative to views of two images. The k-NN "
        "accuracy of the representations is not above the untrained network's either.",
    ),
    ("chance-level", "The k-NN accuracy of the representations is near that of always answering the largest class."),
    ("undetermined", "There are too few held-out images to tell. It does not count as a collapse."),
]
MEASURED = [
    (
        "Collapse type",
        "What was measured of the geometry of the embeddings, on held-out images; the first test that fails gives the name. "
        "Accuracy is measured on the representations, so read it beside the type: one can be high where the other is bad.",
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
]
STD = "Standard deviation of an embedding dimension, averaged over dimensions"
CORRELATION = (
    "rms correlation",
    "Root mean square of the correlations between different dimensions; 0 is none, 1 is all alike.",
)
COMPARED = [
    (
        "View discrepancy",
        "Mean squared distance of two views of one image, over that of views of two images: 0 is all alike; at 1 "
        "embeddings of one image are as far apart as those of two.",
    ),
    (
        "± and difference",
        "Standard deviation over seeds; mean over seeds of (this arm − baseline), each seed with itself.",
    ),
]


def glossary_of(terms: Mapping[str, TermDescription]) -> list[tuple[str, str]]:
    """Return (word, meaning) of a report on runs whose loss has these terms, VICReg's or another method's."""
    if terms.keys() == VICREG.keys():
        std = ("std, emb.", f"{STD}; VICReg's hinge pulls it up to γ.")
        return [WEIGHTS_ENTRY, *MEASURED, std, CORRELATION, VICREG_ENTRY, *COMPARED]
    own = ("Terms of the loss", f"{'; '.join(titled(term) for term in terms.values())}.")
    return [*MEASURED, ("std, emb.", f"{STD}."), CORRELATION, own, *COMPARED]
