"""The one exception that means: the input is wrong, and here is what to do about it."""


class InputError(ValueError):
    """Bad input from a person: its message is one sentence with the rule, the value and the remedy.

    Commands print the message alone and exit with status 2; everything else that is raised is a defect of ours.
    """
