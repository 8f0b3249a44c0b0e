"""Personal data in texts: what looks like it and passes the check of its kind."""

import functools
import ipaddress
import re
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from selfj.collection.quality.arrow import flags, mask_of, matches, some

_EXAMPLE_HOSTS = re.compile(
    r"(?:\A|\.)(?:example|test|invalid|localhost|local|domain|yourdomain|mydomain|company|email|mail"
    r"|server|host|site|foo|bar)"
    r"(?:\.(?:com|org|net|edu|co|uk|local|example|test))*\Z",
    re.IGNORECASE,
)
_EXAMPLE_NAMES = re.compile(
    r"(?:git|users?|username|root|foo|bar|name|email|someone|somebody|test|example|demo|admin|info|support"
    r"|contact|help|sales"
    r"|service|noreply|no-reply|from|to|sender|receiver|recipient|me|you|xxx+|phone_number|abc|ubuntu"
    r"|ec2-user|(?:my|your)[_.\-]?\w*)\d*",
    re.IGNORECASE,
)
_FREE = {"800", "888", "877", "866", "855", "844", "833"}
"""Numbers that cost the caller nothing belong to organisations."""
_IBANS = {
    15: "NO", 16: "BE", 18: "DK FI NL", 19: "SI", 20: "AT BA EE KZ LT LU", 21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS", 23: "AE GI IL", 24: "AD CZ ES MD PK RO SA SE SK TN", 25: "PT", 26: "IS TR",
    27: "FR GR IT MC SM", 28: "AL AZ BY CY DO HU LB PL", 29: "BR PS QA UA", 30: "JO KW", 31: "MT",
}  # fmt: skip
_IBAN_LENGTHS = {country: length for length, countries in _IBANS.items() for country in countries.split()}
_NO_DOMAINS = {
    "py", "js", "ts", "txt", "png", "jpg", "jpeg", "gif", "svg", "css", "html", "json", "xml", "md", "sh", "service",
    "jar", "git", "log", "csv", "conf", "local", "so", "c", "h", "cpp", "java", "rb", "go", "rs", "yml", "yaml",
}  # fmt: skip

_PATTERNS: dict[str, tuple[str, str]] = {
    "email": (
        r"\b[A-Za-z0-9][A-Za-z0-9._%+\-]*@[A-Za-z0-9][A-Za-z0-9\-]*(?:\.[A-Za-z0-9\-]+)*\.[A-Za-z]{2,24}\b",
        "[EMAIL]",
    ),
    "iban": (r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", "[IBAN]"),
    "credit_card": (r"\b[3-6][0-9]{3}(?:[ \-]?[0-9]){9,15}\b", "[CREDIT_CARD]"),
    "ssn": (r"\b[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}\b", "[SSN]"),
    "phone": (
        r"\+[1-9](?:[ .\-()]{0,2}[0-9]){7,14}\b|(?:\b1[ .\-])?\([2-9][0-9]{2}\) ?[2-9][0-9]{2}[ .\-][0-9]{4}\b"
        r"|\b(?:1[ .\-])?[2-9][0-9]{2}([.\-])[2-9][0-9]{2}[.\-][0-9]{4}\b",
        "[PHONE]",
    ),
    "ip": (
        r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b|\b[23][0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{0,4}){2,7}\b",
        "[IP]",
    ),
}
"""RE2 patterns, and what is put in place of what passes."""


def mask(texts: pa.Array, kinds: Sequence[str]) -> tuple[pa.Array, npt.NDArray[np.int32]]:
    """The texts with personal data replaced, and how many pieces in each, shape (n,).

    What is no person's stays: addresses at example hosts, addresses of machines within a network or of documents,
    numbers whose check digit is wrong.

    Args:
        texts: Strings, shape (n,).
        kinds: Names as in `Quality.personal`.
    """
    counts = np.zeros(len(texts), np.int32)
    if not kinds:
        return texts, counts
    suspects = matches(texts, "|".join(f"(?:{_PATTERNS[kind][0]})" for kind in _ORDER if kind in kinds))
    if not some(suspects):
        return texts, counts
    at = np.flatnonzero(flags(suspects))
    changed = texts.take(pa.array(at)).to_pylist()
    for place, row in enumerate(at.tolist()):
        changed[place], counts[row] = _masked(changed[place], tuple(kinds))
    hit = counts > 0
    if not hit.any():
        return texts, counts
    put = pa.array([text for text, row in zip(changed, at.tolist(), strict=True) if hit[row]], pa.string())
    return pc.replace_with_mask(texts, mask_of(hit), put), counts


_ORDER = tuple(_PATTERNS)


@functools.cache
def _compiled(kind: str) -> re.Pattern[str]:
    return re.compile(f"(?<![\\w.]){_PATTERNS[kind][0]}(?![\\w])" if kind in ("ssn", "ip") else _PATTERNS[kind][0])


def _masked(text: str, kinds: tuple[str, ...]) -> tuple[str, int]:
    """The text masked until nothing more is found, since a mask may part what stood together; and how many pieces."""
    total, found = 0, -1
    while found:
        text, found = _masked_once(text, kinds)
        total += found
    return text, total


def _masked_once(text: str, kinds: tuple[str, ...]) -> tuple[str, int]:
    total = 0
    for kind in _ORDER:
        if kind not in kinds:
            continue
        put, check = _PATTERNS[kind][1], _CHECKS[kind]
        found = 0

        def replace(match: re.Match[str], put: str = put, check: Callable[[re.Match[str]], bool] = check) -> str:
            nonlocal found
            if not check(match):
                return match.group()
            found += 1
            return put

        text = _compiled(kind).sub(replace, text)
        total += found
    return text, total


def _email(match: re.Match[str]) -> bool:
    name, host = match.group().rsplit("@", 1)
    if (
        match.string[match.start() - 1 : match.start()] in (":", "/")
        or match.string[match.end() : match.end() + 1] == ":"
    ):
        return False
    ending = host.rsplit(".", 1)[1].lower()
    return not _EXAMPLE_NAMES.fullmatch(name) and ending not in _NO_DOMAINS and not _EXAMPLE_HOSTS.search(host)


def _digits(match: re.Match[str]) -> str:
    return re.sub(r"\D", "", match.group())


def _phone(match: re.Match[str]) -> bool:
    digits, text = _digits(match), match.string
    around = text[max(0, match.start() - 1) : match.start()], text[match.end() : match.end() + 1]
    if any(sign and (sign.isalnum() or sign in "+*/=^_.") for sign in around[:1]) or around[1] in (
        "*",
        "^",
        "=",
        "/",
        "%",
    ):
        return False
    if match.group().startswith("+"):
        return 8 <= len(digits) <= 15 and digits[-7:-4] != "555" and "123456" not in digits
    return digits[-10:-7] not in _FREE and digits[-7:-4] != "555"


def _credit_card(match: re.Match[str]) -> bool:
    digits = _digits(match)
    if (
        not 13 <= len(digits) <= 19
        or len(set(digits)) < 3
        or not re.match(r"3[4-7]|4|5[1-5]|2[2-7]|6(?:011|5|4[4-9])", digits)
    ):
        return False
    groups = re.findall(r"\d+", match.group())
    if len(groups) > 1 and [len(group) for group in groups] not in (
        [4, 4, 4, 4],
        [4, 6, 5],
        [4, 6, 4],
        [4, 4, 4, 4, 3],
    ):
        return False
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(number - 9 * (number > 9) for number in doubled) % 10 == 0


def _iban(match: re.Match[str]) -> bool:
    held = match.group().replace(" ", "")
    if _IBAN_LENGTHS.get(held[:2]) != len(held):
        return False
    return int("".join(str(int(sign, 36)) for sign in held[4:] + held[:4])) % 97 == 1


def _ssn(match: re.Match[str]) -> bool:
    area, group, serial = match.group().split("-")
    return area not in ("000", "666") and group != "00" and serial != "0000"


def _ip(match: re.Match[str]) -> bool:
    try:
        address = ipaddress.ip_address(match.group())
    except ValueError:
        return False
    before = match.string[max(0, match.start() - 12) : match.start()].lower()
    if "version" in before or before.endswith(("v", "-")) or match.string[match.end() : match.end() + 1] in ("-", "_"):
        return False
    if address.version == 4:
        parts = match.group().split(".")
        if (
            parts[-1] == "0"
            or parts[1] == parts[2] == "0"
            or parts[:2] == parts[2:]
            or len({int(part) for part in parts}) == 1
            or max(map(int, parts)) < 32
        ):
            return False
    return address.is_global and not address.is_multicast


_CHECKS: dict[str, Callable[[re.Match[str]], bool]] = {
    "email": _email,
    "iban": _iban,
    "credit_card": _credit_card,
    "ssn": _ssn,
    "phone": _phone,
    "ip": _ip,
}
