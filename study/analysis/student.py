"""Student's t distribution."""

from scipy import special


def t_quantile(share: float, freedom: float) -> float:
    """Return the value below which Student's t with `freedom` degrees of freedom lies with probability `share`."""
    return float(special.stdtrit(freedom, share))  # what scipy.stats.t calls, at a fiftieth of its cost


def t_share(value: float, freedom: float) -> float:
    """Return the probability that Student's t with `freedom` degrees of freedom lies below a value."""
    return float(special.stdtr(freedom, value))
