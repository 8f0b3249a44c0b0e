"""Which language a caller reads."""

from collections.abc import Iterable


def choose(header: str, offered: Iterable[str], default: str) -> str:
    """Choose a language by an `Accept-Language` header; the default where none fits.

    Example:
        >>> choose("fr-CH, de;q=0.9", ["en", "de", "fr"], "en")
        'fr'
        >>> choose("", ["en", "de"], "en")
        'en'
    """
    known = {name.lower(): name for name in offered}
    ranked = []
    for place, part in enumerate(header[:1000].split(",")):
        name, _, options = part.strip().partition(";")
        weight = _weight(options)
        if name and weight > 0:
            ranked.append((-weight, place, name.strip().lower()))
    for _, _, name in sorted(ranked):
        while name:
            if name in known:
                return known[name]
            name = name.rpartition("-")[0]
    return default


def _weight(options: str) -> float:
    name, _, value = options.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0
