"""The terms of the loss and their weights, named here alone.

Results say which terms their method logs. Those of earlier versions do not, and theirs are VICReg's.
"""

from collections.abc import Mapping

from study.results.methods import TermDescription
from study.results.schema import StudyResults

VICREG = {
    "invariance": TermDescription(title="Invariance term", log_axis=True),
    "variance": TermDescription(title="Variance term"),  # a hinge that lies in [0, gamma]
    "covariance": TermDescription(title="Covariance term", log_axis=True),
}
VICREG_ENTRY = (
    "Invariance, variance, covariance term",
    "Distance between the two views; how far dimensions fall short of a standard deviation of γ; squared covariances "
    "between dimensions.",
)
WEIGHTS_ENTRY = ("λ, μ, ν", "Weights of the invariance, variance and covariance terms of the loss.")
TOTAL = TermDescription(title="Total loss, weighted by each arm's own coefficients", log_axis=True)
TOTAL_OF_METHOD = TermDescription(title="Total loss")  # of methods: it may be negative
# VICReg's weights: the setting, and its key among the coefficients in the official code's units.
WEIGHTS = {"pretrain.lambda": "lambda_", "pretrain.mu": "mu", "pretrain.nu": "nu"}
TERM_OF = {"pretrain.lambda": "invariance (λ 0)", "pretrain.mu": "variance (μ 0)", "pretrain.nu": "covariance (ν 0)"}
SCALED = ("invariance", "covariance", "λ and ν")  # two terms whose scales the source paper compares, and their weights
RATIOS = ("λ / ν", "μ / ν")


def terms_of(study: StudyResults) -> Mapping[str, TermDescription]:
    """Return the terms that a study's runs logged, by their key in the history."""
    return VICREG if study.terms is None else study.terms


def titled(term: TermDescription) -> str:
    """Return a term's title, with its unit where it has one."""
    return f"{term.title}, {term.unit}" if term.unit else term.title


def ratios(weights: Mapping[str, float]) -> tuple[float, float] | None:
    """Return (λ / ν, μ / ν) of `weights` by name, with or without an underscore; None where one of them is zero."""
    lambda_, mu, nu = (weights[name] if name in weights else weights[name.rstrip("_")] for name in WEIGHTS.values())
    return (lambda_ / nu, mu / nu) if min(lambda_, mu, nu) > 0 else None


def weights_text(row: Mapping[str, object]) -> str:
    """Return a published row's weights in words: `λ 25, μ 25, ν 1`."""
    return f"λ {row['lambda']}, μ {row['mu']}, ν {row['nu']}"
