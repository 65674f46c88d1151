"""The exception for wrong input from a person."""


class InputError(ValueError):
    """Wrong input from a person; the message is one sentence with the rule, the value and the remedy.

    Commands print only the message and exit with status 2. Any other exception is a defect of this code.
    """
