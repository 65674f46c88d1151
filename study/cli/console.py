"""The console that commands print tables and progress on."""

from rich import console


class Console(console.Console):
    """Rich's console, which leaves a closed pipe to the command: `study.cli.command` says how it ends then."""

    def on_broken_pipe(self) -> None:
        """Raise the `BrokenPipeError` that was caught; Rich would exit with 1, which says that runs are not finished."""
        raise BrokenPipeError
