"""Words that made-up people, companies and mailbox hosts are put together from; no list of real people.

Made-up company domains may exist by chance. Nothing here is ever looked up or mailed.
"""

# ruff: noqa: SIM905 (one word a line would be no reading)

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Land:
    """What names and mailboxes look like in one country; `hosts` maps a mailbox host to its weight."""

    code: str
    first: tuple[str, ...]
    last: tuple[str, ...]
    hosts: dict[str, int]
    tlds: tuple[str, ...]


GB: Final = Land(
    "GB",
    tuple(
        "oliver george harry noah jack leo arthur muhammad oscar henry olivia amelia isla ava ivy florence emily grace "
        "sophie chloe margaret susan janet patricia linda john david michael peter alan keith brian colin derek ruth "
        "hannah lucy daniel thomas james william emma laura sarah rachel claire helen karen tracey gareth owen rhys "
        "megan bethan aisha priya ravi anita mohammed fatima zara callum fraser eilidh".split()
    ),
    tuple(
        "smith jones taylor brown williams wilson johnson davies patel wright walker thompson white edwards green hall "
        "wood harris lewis martin jackson clarke clark turner hill cooper morris ward moore king watson baker khan "
        "harrison morgan allen james scott phillips parker bennett young shaw hughes mitchell bailey carter richardson "
        "ellis collins marshall murphy cox mills webb ahmed begum kaur hussain fletcher thornton ashworth pickering "
        "larkin holloway penrose trelawney macleod campbell sinclair".split()
    ),
    {
        "gmail.com": 44,
        "hotmail.com": 11,
        "hotmail.co.uk": 10,
        "outlook.com": 8,
        "yahoo.co.uk": 9,
        "yahoo.com": 4,
        "icloud.com": 6,
        "btinternet.com": 7,
        "live.co.uk": 3,
        "aol.com": 3,
        "talktalk.net": 2,
        "sky.com": 2,
        "virginmedia.com": 2,
        "me.com": 1,
        "proton.me": 1,
    },
    ("co.uk", "co.uk", "co.uk", "com", "org.uk", "uk"),
)
DE: Final = Land(
    "DE",
    tuple(
        "anna lena marie sophie emma mia hannah lea laura julia katharina sabine petra monika renate ursula birgit "
        "heike claudia andrea thomas michael andreas stefan peter wolfgang klaus juergen frank uwe dieter horst jan "
        "lukas leon paul felix jonas tim niklas moritz elias finn mehmet ayse fatma emre svenja imke "
        "wiebke torsten holger jens kai".split()
    ),
    tuple(
        "mueller schmidt schneider fischer weber meyer wagner becker schulz hoffmann schaefer koch bauer richter klein "
        "wolf schroeder neumann schwarz zimmermann braun krueger hofmann hartmann lange schmitt werner krause meier "
        "lehmann schmid schulze maier koehler walter mayer huber kaiser fuchs peters lang scholz moeller weiss "
        "jung hahn vogel friedrich keller guenther frank berger winkler roth beck lorenz baumann yilmaz kaya demir "
        "brandt hansen petersen".split()
    ),
    {
        "gmail.com": 27,
        "gmx.de": 18,
        "web.de": 18,
        "t-online.de": 12,
        "gmx.net": 6,
        "outlook.de": 3,
        "hotmail.com": 4,
        "yahoo.de": 4,
        "icloud.com": 4,
        "freenet.de": 3,
        "posteo.de": 2,
        "mailbox.org": 1,
        "arcor.de": 1,
        "online.de": 1,
    },
    ("de", "de", "de", "com", "eu", "net"),
)
FR: Final = Land(
    "FR",
    tuple(
        "jean marie pierre michel andre philippe alain bernard camille lea manon chloe lucas hugo louis gabriel "
        "nathalie isabelle sylvie catherine martine francoise nicolas julien thomas antoine mathilde pauline "
        "amelie yasmine karim mehdi".split()
    ),
    tuple(
        "martin bernard thomas petit robert richard durand dubois moreau laurent simon michel lefebvre leroy roux "
        "david bertrand morel fournier girard bonnet dupont lambert fontaine rousseau vincent muller faure mercier "
        "blanc guerin boyer garnier chevalier francois legrand".split()
    ),
    {
        "gmail.com": 40,
        "orange.fr": 18,
        "hotmail.fr": 8,
        "hotmail.com": 6,
        "wanadoo.fr": 6,
        "free.fr": 7,
        "yahoo.fr": 6,
        "outlook.fr": 5,
        "sfr.fr": 4,
        "laposte.net": 4,
        "icloud.com": 4,
    },
    ("fr", "fr", "fr", "com", "eu"),
)
US: Final = Land(
    "US",
    tuple(
        "liam noah olivia emma james robert john michael william david mary patricia jennifer linda elizabeth barbara "
        "susan jessica ashley brittany tyler brandon kyle jose maria juan carlos luis ana latoya jamal keisha wei "
        "mei hiroshi raj".split()
    ),
    tuple(
        "smith johnson williams brown jones garcia miller davis rodriguez martinez hernandez lopez gonzalez wilson "
        "anderson thomas taylor moore jackson martin lee perez thompson white harris sanchez clark ramirez lewis "
        "robinson nguyen chen kim patel".split()
    ),
    {
        "gmail.com": 55,
        "yahoo.com": 15,
        "hotmail.com": 7,
        "aol.com": 6,
        "outlook.com": 6,
        "icloud.com": 6,
        "comcast.net": 3,
        "att.net": 1,
        "verizon.net": 1,
        "sbcglobal.net": 1,
    },
    ("com", "com", "com", "org", "net", "us"),
)
IT: Final = Land(
    "IT",
    tuple("marco andrea giulia francesca luca alessandro chiara sara matteo paola giovanni elena stefano anna".split()),
    tuple("rossi russo ferrari esposito bianchi romano colombo ricci marino greco bruno gallo conti costa".split()),
    {
        "gmail.com": 50,
        "libero.it": 20,
        "hotmail.it": 8,
        "yahoo.it": 7,
        "tiscali.it": 4,
        "virgilio.it": 4,
        "alice.it": 3,
    },
    ("it", "it", "com", "eu"),
)
NL: Final = Land(
    "NL",
    tuple("jan pieter kees anna sanne lotte daan bram sem eva fleur thijs lieke ruben joost marieke femke".split()),
    tuple("dejong jansen devries vandenberg bakker visser smit meijer deboer mulder bos vos peters hendriks".split()),
    {
        "gmail.com": 45,
        "hotmail.com": 20,
        "ziggo.nl": 8,
        "kpnmail.nl": 6,
        "outlook.com": 6,
        "live.nl": 6,
        "planet.nl": 4,
    },
    ("nl", "nl", "nl", "com", "eu"),
)
LANDS: Final = (GB, DE, FR, US, IT, NL)
STEMS: Final = tuple(
    "north east harbour river stone oak ash birch green blue red silver bright swift clear deep high low new old first "
    "prime peak summit valley meadow forest coast bay lake cloud data code pixel logic signal vector orbit nova delta "
    "alpha omega terra aqua solar volt metal timber brick glass paper ink print press media craft form frame line "
    "point bridge gate tower castle crown lion fox hawk heron raven swallow bee ant bear wolf stag nord west sued berg "
    "tal wald feld bach stein holz eisen kraft werk haus hof garten licht sonne mond stern".split()
)
TAILS: Final = tuple(
    "soft tech labs works group systems solutions partners consulting studio design media logistics foods energy "
    "capital legal dental clinic motors tools supplies builders roofing plumbing electric print travel hotel bistro "
    "bakery farms technik handel bau service medien transporte verlag praxis kanzlei team digital analytics security "
    "cloud networks health pharma optics robotics textiles interiors".split()
)
SHARED: Final = tuple(
    "info info info info sales office contact contact hello admin support mail enquiries kontakt marketing".split()
)
FUNCTIONS: Final = tuple("webmaster postmaster abuse noreply no-reply hostmaster security".split())


def person(rng: random.Random, land: Land) -> tuple[str, str]:
    """Return a first and a last name."""
    return rng.choice(land.first), rng.choice(land.last)


def private_mailbox(rng: random.Random, land: Land, name: tuple[str, str]) -> str:
    """Return an address as people choose one for themselves."""
    first, last = name
    year, few = f"{rng.randint(45, 106) % 100:02d}", str(rng.randint(1, 999))
    local = rng.choices(
        [
            f"{first}.{last}",
            f"{first}{last}",
            f"{first[0]}{last}",
            f"{first}{year}",
            f"{first}.{last}{year}",
            f"{last}{few}",
            f"{rng.choice(STEMS)}{rng.choice(STEMS)}{few}",
            f"{first}_{last}",
            f"{first}{last[0]}{few}",
            f"{last}.{first}",
        ],
        [24, 14, 8, 8, 14, 5, 9, 5, 9, 4],
    )[0]
    if rng.random() < 0.45:  # taken long ago at a large host, so people add something
        local += str(rng.randint(1, 99999))
    host = rng.choices(list(land.hosts), list(land.hosts.values()))[0]
    return f"{local}@{host}"


def company_domain(rng: random.Random, land: Land) -> str:
    """Return a domain of a company."""
    shape = rng.random()
    if shape < 0.25:
        word = f"{rng.choice(land.last)}{rng.choice(('', '-'))}{rng.choice(TAILS)}"
    elif shape < 0.4:
        word = f"{rng.choice(land.last)}-{rng.choice(land.last)}"
    else:
        word = f"{rng.choice(STEMS)}{rng.choice(('', '-', ''))}{rng.choice(STEMS)}{rng.choice(TAILS)}"
    return f"{word}.{rng.choice(land.tlds)}"


def work_mailbox(rng: random.Random, domain: str, name: tuple[str, str]) -> str:
    """Return an address as a company gives one to its people."""
    first, last = name
    local = rng.choices(
        [f"{first}.{last}", first, f"{first[0]}{last}", f"{first[0]}.{last}", last, f"{first}{last[0]}"],
        [46, 20, 14, 10, 5, 5],
    )[0]
    return f"{local}@{domain}"
