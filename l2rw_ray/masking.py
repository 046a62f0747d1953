"""Show addresses without what may be a secret in them: user and password, options, and fragment."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlsplit

_HIDDEN = "***"
_SCHEME = r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,40}://"  # bounded, as texts may be long
_ADDRESS = re.compile(_SCHEME)
_IN_TEXT = re.compile(_SCHEME + r"[^\s\"'<>]+")
_HARMLESS = {
    *("driver", "user", "charset", "host", "port", "mode", "cache", "uri", "timeout", "connect_timeout"),
    *("sslmode", "ssl_mode", "sslrootcert", "application_name", "target_session_attrs", "encrypt"),
    *("trusted_connection", "trustservercertificate", "autocommit", "check_same_thread", "pool_size"),
    *("region", "scheme", "endpoint_override", "workspace"),
}
"""Options of addresses that hold no secret, but for what an address within them holds."""


def masked(text: str) -> str:
    """Return an address, or a text with addresses in it, without what may be secret.

    In a text an address ends at a space or a quote, as a password may not: see `masked_of`.
    """
    if _ADDRESS.match(text) and "\n" not in text and len(_ADDRESS.findall(text)) == 1 and not _ends(text):
        return _masked_address(text)
    return _IN_TEXT.sub(lambda found: _masked_address(found[0]), text)


def _ends(text: str) -> bool:
    """Return whether words follow an address: a space that no user name or password explains."""
    before, space, _ = text.partition(" ")
    return bool(space) and "@" not in text[len(before) :] and "?" not in before


def masked_of(text: str, address: str) -> str:
    """Return a text with the secrets of an address hidden, in whatever form a library writes them.

    Args:
        text: The text, such as an error.
        address: The address.
    """
    text = text.replace(address, masked(address))
    for secret in sorted(_secrets(address), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return masked(text)


def masked_tree(value: Any) -> Any:
    """Return nested dictionaries and lists with every text in them masked."""
    if isinstance(value, dict):
        return {key: masked_tree(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked_tree(inner) for inner in value]
    return masked(value) if isinstance(value, str) else value


def _masked_address(address: str) -> str:
    scheme, _, rest = address.partition("://")
    _, at, rest = rest.rpartition("@")
    rest, hash_sign, _ = rest.partition("#")
    path, question, query = rest.partition("?")
    parts = [f"{scheme}://", _HIDDEN if at else "", at]
    parts += [_options(path, ";", skip_first=True), question, _options(query, "&;")]
    return "".join([*parts, hash_sign, _HIDDEN if hash_sign else ""])


def _options(text: str, separators: str, *, skip_first: bool = False) -> str:
    """Return `a=b&c=d` with the values of options hidden that are not known to be harmless."""
    pieces = re.split(f"([{separators}])", text)
    for place in range(2 if skip_first else 0, len(pieces), 2):
        name, equals, value = pieces[place].partition("=")
        if pieces[place] and not _is_harmless(name, value):
            pieces[place] = f"{name}={_HIDDEN}" if equals else _HIDDEN
    return "".join(pieces)


def _is_harmless(name: str, value: str) -> bool:
    """Return whether an option is known to hold no secret, nor options or an address with one."""
    plain = unquote_plus(unquote_plus(value))
    return unquote_plus(name).lower() in _HARMLESS and not any(sign in plain for sign in "@&;=?#%")


def _secrets(address: str) -> Iterator[str]:
    """Yield the secrets of an address, quoted and not."""
    user = address.partition("://")[2].rpartition("@")[0]
    rest = address.rpartition("@")[2]
    values = [user, user.partition(":")[2], urlsplit(rest).fragment if "#" in rest else ""]
    path, _, query = rest.partition("#")[0].partition("?")
    for option in filter(None, [*path.split(";")[1:], *re.split("[&;]", query)]):
        name, equals, value = option.partition("=")
        if not _is_harmless(name, value):
            values.append(value if equals else name)
    for value in filter(None, values):
        plain = unquote(value)
        forms = {value, plain, unquote_plus(value), quote(plain, safe=""), quote(plain), quote_plus(plain)}
        yield from (form for form in forms if form)
