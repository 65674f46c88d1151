"""The folders and files that commands read and write by default."""

from pathlib import Path

STORE = Path("store")  # of finished runs
PREPARED = Path("data/prepared")  # the data set that the stage `prepare` leaves
MODEL = Path("models/baseline")  # what the stage `pretrain` leaves

RESULTS = Path("results")
CHECKED = RESULTS / "checked.txt"  # by the stage `check`, on which the others depend
PRETRAIN_RESULTS = RESULTS / "pretrain"
EVALUATE_RESULTS = RESULTS / "evaluate"
PROJECT_RESULTS = RESULTS / "project"
STUDY_RESULTS = RESULTS / "ablate"  # of each study as params.yaml has it, which is what DVC tracks
CUSTOM_RESULTS = RESULTS / "custom"  # of each study with anything else
CERTIFICATES = RESULTS / "verify"
PAPER_RESULTS = RESULTS / "source_paper"
PAPER_FAILURES = PAPER_RESULTS / "failures.json"  # why a study could not be run, by its name

REPORTS = Path("reports")
INDEX_PAGE = REPORTS / "index.html"
PAPER_PAGE = REPORTS / "source-paper.html"
KEPT_RESULTS = REPORTS / "measured"  # of any profile, which git keeps
