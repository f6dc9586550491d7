"""The one error a person caused and can mend. The command line prints its message and exits with 2."""


class UserError(Exception):
    """What is wrong, in which file or field, and what to do."""
