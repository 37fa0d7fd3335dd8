"""What can keep the stack from starting, in sentences a person can act on."""


class StackError(Exception):
    """The message is shown as it is and the exit code is 1: it says what is wrong, where, and the way out."""
