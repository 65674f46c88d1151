"""The stage `check`: parameters and studies that cannot be are refused before anything runs.

It depends on all of params.yaml and is the first stage of all. What it writes is the same each time, so no other stage is
run for its sake.
"""

import json
import sys
from collections.abc import Sequence

from study.cli.arguments import parse_no_arguments
from study.cli.command import run_command
from study.config.load import load_config, load_params, own_values
from study.config.places import CHECKED
from study.spec.looks import look_of
from study.spec.plan import fixed_config
from study.spec.study_file import load_study
from vicreg.files import write_atomically


def main(argv: Sequence[str] = ()) -> None:
    """Check every profile, and each study that is run, under the profile that is used; print what the user has set."""
    parse_no_arguments("check", "Refuses parameters and studies that cannot be.", argv)
    params = load_params()
    for profile in params["profiles"]:
        load_config(profile=profile, own=False)  # the user's values are meant for the profile that is used
    config = load_config()
    names = list(dict.fromkeys([*params["studies"], *config.source_paper.studies]))
    for name in names:
        study = load_study(name)
        fixed_config(study, config)
        look_of(study, config)
    write_atomically(CHECKED, b"params.yaml and its studies can be run\n")
    own = own_values(params, config.values)
    said = ", ".join(f"{key} {json.dumps(value)}" for key, value in own.items()) or "nothing"
    print(f"profile {config.profile}, studies {', '.join(names) or 'none'}; set beside: {said}")


if __name__ == "__main__":
    run_command(lambda: main(sys.argv[1:]))
