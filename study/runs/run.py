"""One run: its configuration, its identity and what is measured of it."""

from dataclasses import dataclass

import torch

from study.config.config import Config
from study.runs.identity import Identity, Machinery, evaluation_digest, run_identity
from vicreg.views.settings import ViewSettings


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run: what is trained, on which data and device, and what is measured of it.

    `views` are the pair that alignment compares: one pair for a whole study, or arms would differ by it.
    """

    config: Config
    identity: Identity
    probes: tuple[str, ...]
    views: tuple[ViewSettings, ViewSettings]

    @property
    def digest(self) -> str:
        """The digest of everything that decides the weights and the log."""
        return self.identity.digest

    @property
    def evaluation(self) -> str:
        """The digest of this evaluation of the run: its settings, probes, views and code."""
        return evaluation_digest(self.digest, self.config, probes=self.probes, views=self.views)


def make_run(
    config: Config,
    *,
    data: str,
    device: torch.device,
    probes: tuple[str, ...],
    views: tuple[ViewSettings, ViewSettings] | None = None,
    below: Machinery | None = None,
) -> Run:
    """Return the run `config` describes on data of digest `data`.

    Args:
        config: what is trained, and how it is evaluated.
        data: digest of the data set.
        device: where it is to run.
        probes: names of the probes it is measured with.
        views: that alignment compares; None for those it trains on.
        below: the machinery of the hosts that run it; None for this one's.

    Raises:
        InputError: if the weights it starts from cannot be had.
    """
    identity = run_identity(config, data=data, device=device, below=below)
    return Run(config=config, identity=identity, probes=probes, views=views or config.pretrain.views)
