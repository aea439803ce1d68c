"""Countries by ISO 3166-1 alpha-2 code, with short English names. Data only."""

from __future__ import annotations

from typing import Final

_TABLE = """
AD Andorra|AE United Arab Emirates|AL Albania|AM Armenia|AR Argentina|AT Austria|AU Australia|AZ Azerbaijan
BA Bosnia and Herzegovina|BD Bangladesh|BE Belgium|BG Bulgaria|BH Bahrain|BO Bolivia|BR Brazil|BY Belarus
CA Canada|CH Switzerland|CL Chile|CN China|CO Colombia|CR Costa Rica|CY Cyprus|CZ Czechia|DE Germany|DK Denmark
DO Dominican Republic|DZ Algeria|EC Ecuador|EE Estonia|EG Egypt|ES Spain|ET Ethiopia|FI Finland|FR France
GB United Kingdom|GE Georgia|GH Ghana|GR Greece|GT Guatemala|HK Hong Kong|HN Honduras|HR Croatia|HU Hungary
ID Indonesia|IE Ireland|IL Israel|IN India|IQ Iraq|IS Iceland|IT Italy|JM Jamaica|JO Jordan|JP Japan|KE Kenya
KH Cambodia|KR South Korea|KW Kuwait|KZ Kazakhstan|LB Lebanon|LI Liechtenstein|LK Sri Lanka|LT Lithuania
LU Luxembourg|LV Latvia|MA Morocco|MC Monaco|MD Moldova|ME Montenegro|MK North Macedonia|MT Malta|MU Mauritius
MX Mexico|MY Malaysia|NG Nigeria|NI Nicaragua|NL Netherlands|NO Norway|NP Nepal|NZ New Zealand|OM Oman|PA Panama
PE Peru|PH Philippines|PK Pakistan|PL Poland|PT Portugal|PY Paraguay|QA Qatar|RO Romania|RS Serbia|RW Rwanda
SA Saudi Arabia|SE Sweden|SG Singapore|SI Slovenia|SK Slovakia|SM San Marino|SN Senegal|SV El Salvador|TH Thailand
TN Tunisia|TR Türkiye|TW Taiwan|TZ Tanzania|UA Ukraine|UG Uganda|US United States|UY Uruguay|UZ Uzbekistan
VA Vatican City|VN Viet Nam|ZA South Africa|ZM Zambia|ZW Zimbabwe
"""

COUNTRIES: Final[list[tuple[str, str]]] = sorted(
    ((item[:2], item[3:]) for item in _TABLE.replace("\n", "|").split("|") if item), key=lambda pair: pair[1]
)
NAMES: Final[dict[str, str]] = dict(COUNTRIES)
