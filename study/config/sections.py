"""The sections of `params.yaml` as frozen, checked dataclasses."""

from dataclasses import asdict, dataclass

from study.config.seeds import Seeds
from study.config.slurm import SlurmSettings
from study.config.storage import check_storage
from vicreg.data.dataset import check_settings
from vicreg.errors import InputError
from vicreg.evaluation.settings import PROBES

DEVICES = ("auto", "cpu", "cuda")
MOST_PIXELS = 2**12  # to a side: digits enlarged to it take 30 GB
LEAST_LEASE = 5.0  # seconds: a lease is renewed each third of it, and a busy file server shows that a second late


@dataclass(frozen=True, kw_only=True)
class PrepareSettings:
    """`params.yaml`'s section `prepare`. Raises InputError for a value that no data set can have."""

    dataset: str
    validation: float
    split_seed: int
    test: float
    per_class: int | None
    image_size: int | None

    def __post_init__(self) -> None:
        check_settings(**asdict(self))
        if self.image_size is not None and self.image_size > MOST_PIXELS:
            raise InputError(f"prepare.image_size must be at most {MOST_PIXELS}, but got {self.image_size}.")


@dataclass(frozen=True, kw_only=True)
class ProjectSettings:
    """`params.yaml`'s section `project`: t-SNE."""

    perplexity: float
    iterations: int
    seed: int
    features: str
    max_images: int
    classes: int | None

    def __post_init__(self) -> None:
        if not 0 < self.perplexity < float("inf"):
            raise InputError(f"project.perplexity must be positive, but got {self.perplexity}.")
        if self.iterations < 250:
            raise InputError(f"project.iterations must be at least 250, for early exaggeration, but got {self.iterations}.")
        if self.seed < 0:
            raise InputError(f"project.seed must be at least 0, but got {self.seed}.")
        if self.seed >= 2**32:  # scikit-learn takes no more
            raise InputError(f"project.seed must be below 2**32, but got {self.seed}.")
        if self.features not in ("embeddings", "representations"):
            raise InputError(f"project.features must be embeddings or representations, but got {self.features!r}.")
        if self.max_images < 4:
            raise InputError(f"project.max_images must be at least 4, but got {self.max_images}.")
        if self.classes is not None and self.classes < 2:
            raise InputError(
                f"project.classes must be at least 2, but got {self.classes}; raise it, or set it to null to show all."
            )


@dataclass(frozen=True, kw_only=True)
class AblateSettings:
    """`params.yaml`'s section `ablate`: how studies are run, which decides no run's result."""

    seeds: Seeds
    look: int  # which look is run where several are declared: all seeds of looks 1 to this one
    budget: int | None  # of runs that train, where seeds are given until arms are decided
    probes: tuple[str, ...]
    workers: int | None
    device: str
    margin: float  # the smallest difference of accuracy that is of interest, a share
    lock_lease_s: float | None  # seconds after which a host's lock expires unless it is renewed; None: no leases
    storage: str | None  # where Optuna's trials are shown (`storage.py`); None: in the store
    slurm: SlurmSettings

    def __post_init__(self) -> None:
        if not 0 < self.margin < 1:
            raise InputError(f"ablate.margin must be a share between 0 and 1, such as 0.01, but got {self.margin}.")
        if self.look < 1:
            raise InputError(f"ablate.look must be at least 1, the first look, but got {self.look}.")
        if self.budget is not None and self.budget < 1:
            raise InputError(f"ablate.budget must be at least 1 run, but got {self.budget}; null leaves it to the looks.")
        if not self.probes or len(set(self.probes)) < len(self.probes) or set(self.probes) - set(PROBES):
            raise InputError(f"ablate.probes must be different ones of {', '.join(PROBES)}, but got {list(self.probes)}.")
        if self.workers is not None and self.workers < 1:
            raise InputError(f"ablate.workers must be at least 1, but got {self.workers}.")
        if self.device not in DEVICES:
            raise InputError(f"ablate.device must be one of {', '.join(DEVICES)}, but got {self.device!r}.")
        if self.lock_lease_s is not None and not LEAST_LEASE <= self.lock_lease_s <= 86_400:
            got = f"but got {self.lock_lease_s:g}; 60 suits most"
            raise InputError(f"ablate.lock_lease_s must be from {LEAST_LEASE:g} to 86400 seconds, {got}.")
        if self.storage is not None:
            check_storage(self.storage)


@dataclass(frozen=True, kw_only=True)
class SourcePaperSettings:
    """`params.yaml`'s section `source_paper`: the studies that are held against the source paper."""

    studies: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.studies)) < len(self.studies):
            raise InputError(f"source_paper.studies must list different studies, but got {list(self.studies)}.")
