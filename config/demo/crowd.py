"""The demo's people: invented, the same every time, and of every case that routing knows. Pure.

The simulated carrier gives iMessage to numbers with an even last digit. What we record of a person
agrees with that, so that a forecast comes true to the last person.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import chain, count, cycle, product
from typing import NamedTuple

PLANS = ("Basic", "Plus", "Family")


class Case(NamedTuple):
    """How a person stands with the demo's main identity. ``share`` is in thousandths.

    ``has_imessage`` is what their phone has, whatever we know of it; ``None``: either.
    """

    name: str
    share: int
    capability: str = "yes"
    is_opted_in: bool = True
    is_opted_in_elsewhere: bool = False
    opted_out_of: str = ""
    has_imessage: bool | None = True
    has_phone: bool = True
    has_first_name: bool = True


CASES = (
    Case("capable_opted_in", 550),
    Case("missing_first_name", 30, has_first_name=False),
    Case("unknown_opted_in", 40, "unknown"),
    Case("not_opted_in", 80, is_opted_in=False),
    Case("opted_in_elsewhere", 30, is_opted_in=False, is_opted_in_elsewhere=True),
    Case("not_capable", 80, "no", has_imessage=False),
    Case("not_capable_not_opted_in", 70, "no", is_opted_in=False, has_imessage=False),
    Case("unknown_not_opted_in", 50, "unknown", is_opted_in=False, has_imessage=None),
    Case("opted_out", 30, opted_out_of="everything"),
    Case("opted_out_of_identity", 25, opted_out_of="identity"),
    Case("email_only", 15, "unknown", is_opted_in=False, has_phone=False),
)
_BY_NAME = {case.name: case for case in CASES}

#: Area codes, of which each has a hundred numbers that can't exist.
AREAS = {
    "206": ("Seattle", "America/Los_Angeles"),
    "212": ("New York", "America/New_York"),
    "213": ("Los Angeles", "America/Los_Angeles"),
    "214": ("Dallas", "America/Chicago"),
    "303": ("Denver", "America/Denver"),
    "305": ("Miami", "America/New_York"),
    "312": ("Chicago", "America/Chicago"),
    "404": ("Atlanta", "America/New_York"),
    "415": ("San Francisco", "America/Los_Angeles"),
    "416": ("Toronto", "America/Toronto"),
    "503": ("Portland", "America/Los_Angeles"),
    "504": ("New Orleans", "America/Chicago"),
    "505": ("Albuquerque", "America/Denver"),
    "512": ("Austin", "America/Chicago"),
    "514": ("Montréal", "America/Toronto"),
    "602": ("Phoenix", "America/Phoenix"),
    "604": ("Vancouver", "America/Vancouver"),
    "612": ("Minneapolis", "America/Chicago"),
    "615": ("Nashville", "America/Chicago"),
    "617": ("Boston", "America/New_York"),
}
_CITIES = [city for city, _ in AREAS.values()]
#: The numbers 555-0121 to 555-0149 are the crowd's; the lines and the friends have others.
_CROWD_NUMBERS = range(121, 150)

_FIRST_NAMES = """
Aaliyah Adaeze Aiko Alejandra Amina Anders Andrea Anika Arjun Astrid Ayşe Beatriz Ben Bilal Camila
Carlos Chidi Chloé Clara Daniel David Diego Ebony Elena Elif Emeka Emily Esther Fatima Femi Fiona
Francesca George Giulia Hana Hannah Hassan Hiroshi Ingrid Isabel Ivan Jada James Jamal Jasmine
Javier Jin José Julia Kaito Karim Kwame Lars Laura Layla Leila Liam Lin Lucía Lukas Malik Marcus
Maria Mateo Maya Mei Mia Michael Min Mohammed Nadia Naomi Nia Niamh Noah Nora Oluwaseun Omar Oscar
Pablo Paula Pedro Petra Priya Rafael Rania Ravi Rebecca Renée Rosa Ruth Samir Samuel Sara Sofia
Søren Soo-ah Tariq Tatiana Thandiwe Thomas Valentina Wei William Ximena Yara Yusuf Zainab Zoë
""".split()  # noqa: SIM905  (a list of literals would be longer than this file)
_LAST_NAMES = """
Abbott Adeyemi Aguilar Ahmed Alvarez Andersen Bauer Begum Bernard Bianchi Brooks Campbell Castillo
Chan Chen Cohen Cooper Costa Cruz Davies Delgado Diallo Dubois Edwards Eriksson Evans Farah Fischer
Flores Foster Fujita García Gonzalez Green Gupta Haddad Hall Hernández Hoffmann Horvat Hughes
Ibrahim Ito Jackson Jansen Johnson Kamau Kaya Khan Kim Kowalski Kumar Larsen Lee Lewis Lopez
Martin Martínez Mbeki Mensah Meyer Mitchell Morales Moreau Murphy Nakamura Navarro Ndiaye Nguyen
Novak O’Brien Okafor Okoye Oliveira Ortiz Osei Park Patel Pereira Pham Popescu Ramirez Reyes Rivera
Robinson Romano Rossi Ruiz Santos Sato Schmidt Schneider Scott Shah Sharma Silva Singh Smith
Suzuki Tanaka Taylor Torres Tran Turner Vargas Walker Wang Weber Williams Wilson Wong Yamamoto
Yıldız Young Zhang
""".split()  # noqa: SIM905  (a list of literals would be longer than this file)


class Person(NamedTuple):
    """One invented person. ``days`` is how long ago they signed up."""

    case: Case
    phone: str | None
    first_name: str
    last_name: str
    email: str
    city: str
    plan: str
    time_zone: str
    days: int


#: A small group with somebody of each case, by name.
_FRIENDS = (
    ("Sam", "Rivera", "+14155550150", "capable_opted_in"),
    ("Noor", "Haddad", "+14155550152", "capable_opted_in"),
    ("Mei", "Tanaka", "+14155550154", "capable_opted_in"),
    ("Jonas", "Weber", "+12125550156", "capable_opted_in"),
    ("Amara", "Okafor", "+12125550151", "not_capable"),
    ("Priya", "Nair", "+13035550158", "not_opted_in"),
    ("Luca", "Bianchi", "+13035550153", "not_capable_not_opted_in"),
    ("Diego", "Morales", "+12065550160", "unknown_opted_in"),
    ("Tomás", "Silva", "+16175550157", "unknown_not_opted_in"),
    ("Kwame", "Mensah", "+16175550168", "opted_in_elsewhere"),
    ("Ivy", "Chen", "+15125550162", "opted_out"),
    ("Zoë", "Martin", "+15125550164", "opted_out_of_identity"),
    ("", "Osei", "+15145550166", "missing_first_name"),
)


def friends() -> Iterator[Person]:
    """A dozen people whose numbers never change; Sam Rivera is the first."""
    for place, (first_name, last_name, phone, case) in enumerate(_FRIENDS):
        city, zone = AREAS[phone[2:5]]
        email = f"{first_name or 'ms'}.{last_name}@example.org".lower()
        yield Person(
            _BY_NAME[case], phone, first_name, last_name, email, city, PLANS[place % 3], zone, 30
        )


def example_numbers() -> dict[str, str]:
    """One number of each case, to try things on."""
    numbers: dict[str, str] = {}
    for _, _, phone, case in _FRIENDS:
        numbers.setdefault(case, phone)
    return numbers


def crowd(size: int) -> Iterator[Person]:
    """So many people of all cases, each case as often as its share says, in mixed order."""
    chance = random.Random(1)
    numbers = {has_imessage: _numbers(has_imessage, chance) for has_imessage in (True, False)}
    names = list(product(_FIRST_NAMES, _LAST_NAMES))
    chance.shuffle(names)
    cases = _mixed_cases(size, chance)
    for place, (case, name) in enumerate(zip(cases, cycle(names), strict=False)):
        has_imessage = case.has_imessage
        if has_imessage is None:
            has_imessage = chance.random() < 0.5
        phone = next(numbers[has_imessage]) if case.has_phone else None
        yield _person(case, phone, name, place, chance)


def _person(
    case: Case, phone: str | None, name: tuple[str, str], place: int, chance: random.Random
) -> Person:
    area = phone[2:5] if phone is not None and phone.startswith("+1") else ""
    city, zone = AREAS.get(area) or (chance.choice(_CITIES), "")
    return Person(
        case=case,
        phone=phone,
        first_name=name[0] if case.has_first_name else "",
        last_name=name[1],
        email=f"person{place}@example.org" if phone is None or place % 3 else "",
        city=city,
        plan=chance.choice(PLANS),
        time_zone=zone,
        days=chance.randrange(10, 200),
    )


def _mixed_cases(size: int, chance: random.Random) -> list[Case]:
    cases = [case for case in CASES for _ in range(size * case.share // 1000)]
    cases += [CASES[0]] * (size - len(cases))
    chance.shuffle(cases)
    return cases


def _numbers(has_imessage: bool, chance: random.Random) -> Iterator[str]:
    """Numbers with an even or odd end: those that look real first, then the synthetic ones."""
    ends = [end for end in _CROWD_NUMBERS if (end % 2 == 0) == has_imessage]
    real_looking = [f"+1{area}5550{end}" for area, end in product(AREAS, ends)]
    chance.shuffle(real_looking)
    synthetic = (f"+999{number:09d}" for number in count(0 if has_imessage else 1, step=2))
    return chain(real_looking, synthetic)
