"""What the words in a report mean."""

from collections.abc import Mapping

from study.reporting.terms import VICREG, VICREG_ENTRY, WEIGHTS_ENTRY, titled
from study.results.methods import TermDescription

TYPE_GLOSSARY = [
    ("healthy", "No test names a collapse."),
    (
        "complete",
        "The embeddings hardly vary. Their mean standard deviation is below a tenth of the loss's target, or nearly all of "
        "them point one way.",
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
    ("undetermined", "What is needed to tell is missing: held-out images, or embeddings. It does not count as a collapse."),
]
MEASURED = [
    (
        "Collapse type",
        "A name for what was measured on the validation images, mostly of the embeddings' geometry. The first test that "
        "fails gives it. A setting collapsed if half of its seeds or more did; its type is the commonest. Accuracy "
        "is of the representations, so read it beside the type: one can be high where the other is bad.",
    ),
    (
        "Borderline",
        "A measure is within 10 % of its threshold, and beyond the threshold the type would be another.",
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
        "The source paper's protocol: a linear classifier trained by SGD on the frozen encoder, with new views of the "
        "images in each epoch. It trains at one learning rate on features as they are, so their scale counts. Small "
        "features, such as an untrained network's, learn slowly.",
    ),
    ("Setting, arm", "The baseline, or the baseline with some values changed; it is run once at each seed."),
    (
        "Untrained control",
        "The same network with random weights, measured in the same way: what pretraining has to beat.",
    ),
    (
        "RankMe",
        "Effective rank without centring: the exponential of the entropy of the normalised singular values.",
    ),
]
MORE_MEASURES = [
    ("Effective rank, centred", "RankMe's formula on features less their mean, so that a common offset does not count."),
    (
        "Participation ratio, NESum, stable rank",
        "Other counts of directions, from the variances along them: squared sum over sum of squares; sum over the largest; "
        "the latter without centring.",
    ),
    ("alpha-ReQ", "How fast the variances fall: the exponent of the power law that fits them. 0 is a flat spectrum."),
    (
        "LiDAR",
        "In how many directions images differ, each weighed by how little views of one image differ along it.",
    ),
    (
        "Cluster learnability, intrinsic dimension",
        "How fast a nearest neighbour learns the clusters of K-means; the dimension of the surface that the features lie "
        "on. Together they make CLID.",
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
        "Mean squared distance of two views of one image, over that of views of two images. At 0 two views of an image are "
        "alike. At 1 they lie as far apart as views of two images.",
    ),
    (
        "± and difference",
        "Standard deviation over seeds; mean over seeds of (this arm − baseline), each seed with itself.",
    ),
    (
        "Better, worse",
        "The difference from the baseline is not 0, by a p-value below 0.05. Holm's rule adjusts it for all comparisons of "
        "the study; several looks at the results multiply it by their price.",
    ),
    (
        "Equivalent",
        "Neither, and two one-sided tests at 5 % place the difference within the smallest difference of interest. The "
        "interval that is shown is wider than theirs and may reach beyond it.",
    ),
    ("Undecided", "None of the three: seeds are too few to tell."),
    (
        "Detectable difference",
        "What these seeds would find in 80 % of repetitions of the study. Smaller differences may be missed.",
    ),
]


OF_METHODS = [
    (
        "Operations a step",
        "Floating-point operations of a whole training step, counted from shapes: products of matrices and convolutions, "
        "forwards and backwards. Decompositions, element-wise work and the optimiser are left out.",
    ),
    (
        "Memory of its state",
        "Bytes that a method keeps beyond its backbone and expander without training them: a teacher, a queue, running "
        "statistics.",
    ),
    (
        "Alignment, uniformity",
        "Of features on the unit sphere: how far apart two views of one image lie, and how evenly images are spread. Lower "
        "is better for both.",
    ),
    (
        "Linear CKA",
        "How alike two networks' features of the same images are, whatever their rotation and scale; 1 is alike.",
    ),
]


def glossary_of(terms: Mapping[str, TermDescription], *, of_methods: bool = False) -> list[tuple[str, str]]:
    """Return (word, meaning) of a report on runs whose loss has these terms, VICReg's or another method's."""
    if of_methods:
        return [*MEASURED, ("std, emb.", f"{STD}."), CORRELATION, *OF_METHODS, *MORE_MEASURES, *COMPARED]
    if terms.keys() == VICREG.keys():
        std = ("std, emb.", f"{STD}; VICReg's hinge pulls it up to γ.")
        return [WEIGHTS_ENTRY, *MEASURED, std, CORRELATION, VICREG_ENTRY, *MORE_MEASURES, *COMPARED]
    own = ("Terms of the loss", f"{'; '.join(titled(term) for term in terms.values())}.")
    return [*MEASURED, ("std, emb.", f"{STD}."), CORRELATION, own, *MORE_MEASURES, *COMPARED]
