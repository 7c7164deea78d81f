"""Titles and dates from a file's properties, if a person would recognise them. It knows nothing of formats."""

from __future__ import annotations

import re
from datetime import datetime

from ragkit.loaders.hygiene import one_line

_PREFIX = re.compile(r"(microsoft (office )?(word|excel|powerpoint)|openoffice|libreoffice) *[-–] *", re.IGNORECASE)
_PLACEHOLDER = re.compile(
    r"(untitled|без имени|без названия|документ|document|презентация|presentation|powerpoint presentation|слайд|slide"
    r"|title|заголовок|название|doc|new|новый( документ)?)[ _()\d.-]*",
    re.IGNORECASE,
)
_FILE_NAME = re.compile(
    r"\S*\.(pdf|docx?|docm|dotx?|rtf|odt|txt|html?|xlsx?|pptx?|indd|qxd|qxp|tex|dvi|ps|eps|pmd|cdr|tmp)"
)
_DATE = re.compile(r"(?:D:)?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:([Z+-])(?:(\d\d)'?(\d\d)?'?)?)?")


def sensible_title(title: str) -> str:
    """The title on one line, or "" for a placeholder, a file name or a number that a program put there."""
    title = _PREFIX.sub("", one_line(title), count=1)
    words = re.findall(r"[^\W\d_]{2,}", title)
    if not words or len(title) > 300 or _PLACEHOLDER.fullmatch(title) or _FILE_NAME.fullmatch(title.lower()):
        return ""
    return title


def sensible_name(name: str) -> str:
    """The author on one line, or "" for a number and for the names that programs put there."""
    name = one_line(name)
    placeholder = name.lower() in ("user", "admin", "administrator", "пользователь", "unknown", "python-docx", "author")
    return "" if placeholder or not re.search(r"[^\W\d_]{2}", name) or len(name) > 300 else name


def iso_date(stamp: str) -> str:
    """A PDF date (ISO 32000, 7.9.4: D:20230330161613-04'00') in ISO 8601; "" where it is none."""
    match = _DATE.fullmatch(stamp.strip().rstrip("'"))
    if not match:
        return ""
    year, month, day, hour, minute, second = (int(part) if part else None for part in match.groups()[:6])
    try:
        moment = datetime(year or 0, month or 1, day or 1, hour or 0, minute or 0, second or 0)
    except ValueError:
        return ""
    if hour is None:
        return moment.date().isoformat()
    sign, zone_hours, zone_minutes = match.groups()[6:]
    zone = "" if sign is None else "Z" if sign == "Z" else f"{sign}{zone_hours or '00'}:{zone_minutes or '00'}"
    return moment.isoformat() + zone
