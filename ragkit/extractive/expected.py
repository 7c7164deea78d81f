"""What kind of thing a question wants, by its first words: a price, a frequency, a period, a number, a name.

Patterns for Russian and English, written by hand; where none fits, nothing is wanted in particular.
"""

from __future__ import annotations

import re
from enum import Enum

_FLAGS = re.IGNORECASE | re.VERBOSE


class Wanted(Enum):
    PRICE = "price"
    FREQUENCY = "frequency"
    PERIOD = "period"
    NUMBER = "number"
    PERSON = "person"


# The first that is met counts: "how much does it cost" before "how much".
_ASKED = {
    Wanted.PRICE: re.compile(
        r"""\b(?:сколько\s+сто[ия]т\w*|како\w+\s+цен\w+|каков\w*\s+(?:цен\w+|стоимость)|what\b.*\b(?:price|cost)\b|
        how\s+much\b.*\b(?:costs?|pay|price|charged?)\b)""",
        _FLAGS,
    ),
    Wanted.FREQUENCY: re.compile(
        r"\b(?:(?:как|насколько)\s+часто|сколько\s+раз|how\s+(?:often|frequently)|how\s+many\s+times)\b", _FLAGS
    ),
    Wanted.PERIOD: re.compile(
        r"""\b(?:(?:как|насколько)\s+долго|сколько\s+(?:времени|дней|лет|часов|минут|месяцев|недель)|
        како\w+\s+срок\w*|каков\w*\s+срок\w*|how\s+long|
        how\s+many\s+(?:days|years|hours|minutes|months|weeks))\b""",
        _FLAGS,
    ),
    Wanted.NUMBER: re.compile(
        r"""\b(?:скольк\w+|когда|како\w+\s+(?:год\w*|числ\w*|процент\w*|дат\w+|век\w*|дол\w+)|
        каков\w*\s+(?:дол\w+|процент\w*|размер\w*)|how\s+(?:many|much|old|far|tall|high|large|big)|when|
        (?:what|which)\s+(?:year|date|day|month|century|percent\w*|number|time|age))\b""",
        _FLAGS,
    ),
    Wanted.PERSON: re.compile(r"\b(?:кто|кого|кому|кем|чей|чья|чьё|чьи|who|whom|whose)\b", _FLAGS),
}
NUMBER = re.compile(
    r"""\d|\b(?:оди?н\w{0,3}|дв(?:а|е|ух|ум|ое)\w{0,2}|тр(?:и|[её]х|[её]м|ое)|четыр\w+|пят(?:ь|и|ью|ого|ый)|
    шест(?:ь|и|ью)|сем(?:ь|и|ью)|восем\w*|восьм\w+|девят\w+|десят\w+|\w+надцат\w+|\w+дцат\w+|сорок\w?|пятьдесят|
    сто|ста|двести|тысяч\w*|миллион\w*|миллиард\w*|половин\w+|дважды|трижды|
    one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|
    seventy|eighty|ninety|hundred\w*|thousand\w*|million\w*|billion\w*|half|once|twice|dozen\w*)\b""",
    _FLAGS,
)
PERIOD = re.compile(
    r"""\b(?:раза?|секунд\w*|минут\w*|час(?:а|ов|ам)?|дн(?:я|ей|ям)|день|сут(?:ки|ок)|недел\w+|месяц\w*|лет|
    год(?:а|у|ом|ы)?|век(?:а|ов)?|ежегодн\w+|ежемесячн\w+|еженедельн\w+|ежедневн\w+|постоянно|
    once|twice|times?|seconds?|minutes?|hours?|days?|weeks?|months?|years?|decades?|century|centuries|annual\w*|
    yearly|monthly|weekly|daily|hourly|always|every)\b""",
    _FLAGS,
)
FREQUENCY = re.compile(
    r"""\b(?:раза?|кажд\w+|ежегодн\w+|ежемесячн\w+|еженедельн\w+|ежедневн\w+|ежечасн\w+|дважды|трижды|постоянно|
    редко|никогда|once|twice|times|every|each|per|annual\w*|yearly|monthly|weekly|daily|hourly|always|never|rarely)\b""",
    _FLAGS,
)
MONEY = re.compile(
    r"""[$€£₽]|\b(?:руб\w*|коп(?:е\w+)?|доллар\w*|евро|тенге|гривен\w*|бесплатн\w+|
    dollars?|cents?|pounds?|euros?|roubles?|rubles?|USD|EUR|RUB|free)\b""",
    _FLAGS,
)
# A word with a capital that does not begin a line or a sentence.
NAME = re.compile(r"(?<![.!?…]\s)(?<=\s)[«\"“(]?([A-ZА-ЯЁ][\w’'-]*)")


def wanted(question: str) -> Wanted | None:
    """What the question wants; None where its words do not tell."""
    return next((kind for kind, pattern in _ASKED.items() if pattern.search(question)), None)
