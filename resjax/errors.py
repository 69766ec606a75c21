"""The one exception that means "the input is wrong", told apart from a failure of the program."""

BAD_INPUT = 2  # how a command ends then


class InputError(ValueError):
    """Input that cannot be used. The message says the value, what is allowed and what to type."""
