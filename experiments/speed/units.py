"""Numbers as they are read."""


def number(value: float) -> str:
    """Three digits, and no exponent."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"


def quantity(value: float, unit: str) -> str:
    """A number of a unit, with the prefix that makes it readable."""
    scale, prefix = next(
        ((scale, prefix) for scale, prefix in PREFIXES if abs(value) >= scale), PREFIXES[-1]
    )
    if unit in PLAIN and scale > 1:
        scale, prefix = 1.0, ""
    return f"{number(value / scale)} {prefix}{unit}"


PLAIN = ("s", "images/s")
"""Units that take no prefix above one."""
PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"))
