"""Small changes to phrases that stand at the start of a sentence or a heading."""


def capitalised(phrase: str) -> str:
    """Return a phrase with its first letter in upper case and the rest as it is."""
    return phrase[:1].upper() + phrase[1:]
