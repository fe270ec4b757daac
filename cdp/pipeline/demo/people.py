"""Who shops: made-up people with names, places, devices and habits, each from (seed, number) alone."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import NamedTuple, TypeVar

from cdp.core.json import encode

T = TypeVar("T")
VISITOR, SUBSCRIBER, BUYER, LOYAL = range(4)
_SHARES = (0.28, 0.46, 0.9, 1.0)


class Land(NamedTuple):
    """Where people live. Last names are (for women, for men); `mobile` is the beginning of their phone numbers."""

    code: str
    locale: str
    timezone: str
    currency: str
    mobile: str
    cities: tuple[str, ...]
    women: tuple[str, ...]
    men: tuple[str, ...]
    last: tuple[tuple[str, str], ...]


def _same(names: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, name) for name in names.split())


_LANDS = (
    Land("LT", "lt-LT", "Europe/Vilnius", "EUR", "+3706", ("Vilnius", "Kaunas", "Klaipėda", "Šiauliai"),
         ("Austėja", "Gabija", "Ieva", "Rūta", "Živilė"), ("Jonas", "Lukas", "Mantas", "Žygimantas", "Tomas"),
         (("Kazlauskienė", "Kazlauskas"), ("Petrauskaitė", "Petrauskas"), ("Žukauskienė", "Žukauskas"),
          ("Jankutė", "Jankus"), ("Butkienė", "Butkus"))),
    Land("DE", "de-DE", "Europe/Berlin", "EUR", "+491512", ("Berlin", "Köln", "München", "Leipzig", "Hamburg"),
         ("Anna", "Lea", "Jörna", "Katrin", "Sophie"), ("Jürgen", "Max", "Felix", "Paul", "Sören"),
         _same("Müller Schmidt Weiß Schäfer Köhler Vogel Fuchs")),
    Land("GB", "en-GB", "Europe/London", "GBP", "+44770", ("London", "Leeds", "Bristol", "Glasgow"),
         ("Olivia", "Amelia", "Grace", "Priya", "Zoë"), ("Oliver", "Harry", "George", "Arjun", "Owen"),
         _same("Smith Taylor O'Brien Patel Evans Walker Hughes")),
    Land("FR", "fr-FR", "Europe/Paris", "EUR", "+3361", ("Paris", "Lyon", "Nîmes", "Orléans", "Besançon"),
         ("Chloé", "Inès", "Zoé", "Camille", "Léa"), ("François", "Hugo", "Noël", "Jérôme", "Théo"),
         _same("Lefèvre Dupont Moreau Gauthier Hébert Garçon")),
    Land("ES", "es-ES", "Europe/Madrid", "EUR", "+3461", ("Madrid", "Sevilla", "Málaga", "A Coruña"),
         ("Lucía", "María", "Begoña", "Inés", "Nuria"), ("Íñigo", "José", "Andrés", "Pablo", "Raúl"),
         _same("García Muñoz Núñez Ibáñez López Peña")),
    Land("PL", "pl-PL", "Europe/Warsaw", "EUR", "+4851", ("Warszawa", "Łódź", "Gdańsk", "Kraków"),
         ("Zofia", "Małgorzata", "Kinga", "Agnieszka"), ("Łukasz", "Paweł", "Wojciech", "Michał"),
         (("Kowalska", "Kowalski"), ("Wiśniewska", "Wiśniewski"), ("Wójcik", "Wójcik"), ("Dąbrowska", "Dąbrowski"))),
    Land("UA", "uk-UA", "Europe/Kyiv", "EUR", "+38050", ("Київ", "Львів", "Одеса"),
         ("Олена", "Марія", "Соломія"), ("Андрій", "Тарас", "Богдан"),
         _same("Шевченко Коваленко Бондаренко Ткаченко")),
    Land("US", "en-US", "America/New_York", "USD", "+1646", ("New York", "Portland", "Austin", "Chicago"),
         ("Emma", "Ava", "Mia", "Hannah"), ("Liam", "Noah", "Diego", "Ethan"),
         _same("Johnson Garcia Nguyen Brown Davis Kim")),
)  # fmt: skip
_LAND_WEIGHT = (0.30, 0.47, 0.59, 0.70, 0.79, 0.87, 0.92, 1.0)

_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
_DESKTOPS = (
    ("Windows", f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/130.0 Safari/537.36"),
    ("macOS", f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_WEBKIT} Version/18.0 Safari/537.36"),
    ("Linux", "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"),
)
_MOBILES = (
    ("iOS", f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) {_WEBKIT} Mobile/15E148"),
    ("Android", f"Mozilla/5.0 (Linux; Android 15) {_WEBKIT} Chrome/130.0 Mobile Safari/537.36"),
)


class Device(NamedTuple):
    """A browser or app of a person: its anonymous id, and the begin of its context as JSON (an open object)."""

    anonymous_id: str
    context: str
    app: bool


@dataclass(frozen=True, slots=True)
class Person:
    """One person. `identified` people sign up or subscribe; `traits` is the inside of their traits as JSON."""

    number: int
    kind: int
    user_id: str
    land: Land
    devices: tuple[Device, ...]
    traits: str
    email: str
    wants_mail: bool
    favourite: int

    @property
    def identified(self) -> bool:
        """Whether the shop ever learns who it is."""
        return self.kind != VISITOR


def kind_of(random: Random) -> int:
    """The habits of a person: the first thing that is drawn for each."""
    chance = random.random()
    return next(kind for kind, share in enumerate(_SHARES) if chance < share)


def dice(seed: int, number: int) -> Random:
    """The randomness of one person, which depends on nobody else's."""
    return Random(f"{seed}/{number}")  # noqa: S311 - made-up data, no secret


def anonymous_id(seed: int, number: int, device: int) -> str:
    """The anonymous id of a device, which another person of the household can name too."""
    text = blake2b(b"%d/%d/%d" % (seed, number, device), digest_size=16).hexdigest()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def make_person(seed: int, number: int, random: Random) -> Person:
    """Person `number` of `seed`, drawn from `random` (`dice`)."""
    kind = kind_of(random)
    chance = random.random()
    land = _LANDS[next(n for n, share in enumerate(_LAND_WEIGHT) if chance < share)]
    wants_mail = random.random() < 0.62
    tracked = random.random() < 0.93
    count = 1
    if kind != VISITOR and random.random() < (0.7 if kind == LOYAL else 0.35):
        count = 3 if random.random() < 0.15 else 2
    consent = f'"Analytics":true,"Advertising":{"true" if tracked else "false"}'
    place = f'"locale":"{land.locale}","timezone":"{land.timezone}","consent":{{"categoryPreferences":{{{consent}}}}}'
    devices = tuple(_device(anonymous_id(seed, number, n), number * 3 + n, place, random) for n in range(count))
    email, traits = _described(seed, number, land, random, wants_mail)
    return Person(
        number=number,
        kind=kind,
        user_id=f"c{seed}-{number + 1:06d}",
        land=land,
        devices=devices,
        traits=traits,
        email=email,
        wants_mail=wants_mail,
        favourite=int(random.random() * 8),
    )


def _device(known_as: str, n: int, place: str, random: Random) -> Device:
    """Device `n` of all; every third is somebody's first one. `place` is JSON that all devices of a person share."""
    mobile = n % 3 > 0 or random.random() < 0.55
    system, agent = _pick(_MOBILES if mobile else _DESKTOPS, random)
    app = mobile and random.random() < 0.3
    address = f"{'198.51.100' if n & 1 else '203.0.113'}.{n % 250 + 1}"
    context = f'{{"ip":"{address}",{place},"os":{{"name":"{system}"}},"userAgent":"{agent}",'
    if app:
        context += f'"device":{{"id":"{known_as[::-1]}","type":"{system.lower()}"}},"app":{{"name":"Demo Shop"}},'
    return Device(known_as, context, app)


def _described(seed: int, number: int, land: Land, random: Random, wants_mail: bool) -> tuple[str, str]:
    """The e-mail address, and all traits at sign-up."""
    woman = random.random() < 0.52
    first = _pick(land.women if woman else land.men, random)
    last = _pick(land.last, random)[0 if woman else 1]
    latin = f"{_latin(first)}.{_latin(last)}" if _latin(first) else "hello"
    email = f"{latin}{number + 1}{'' if seed == 1 else f'.{seed}'}@{_pick(_DOMAINS, random)}"
    traits = [
        f'"email":{_text(email.title() if random.random() < 0.1 else email)}',
        f'"firstName":{_text(first)},"lastName":{_text(last)}',
        f'"country":"{land.code}","city":{_text(_pick(land.cities, random))},"language":"{land.locale[:2]}"',
        f'"preferences":{{"newsletter":{"true" if wants_mail else "false"}}}',
    ]
    if random.random() < 0.6:
        traits.append(f'"phone":"{land.mobile}{number:07d}"')
    if random.random() < 0.4:
        year, month, day = (int(random.random() * span) for span in (55, 12, 28))
        traits.append(f'"birthday":"{1950 + year}-{month + 1:02d}-{day + 1:02d}"')
    return email, ",".join(traits)


_DOMAINS = ("example.com", "example.org", "example.net", "mail.example", "post.example")


def _latin(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss").replace("ł", "l").replace("Ł", "L").replace("'", ""))
    return "".join(letter for letter in plain.lower() if "a" <= letter <= "z")


def _text(value: str) -> str:
    return encode(value).decode()


def _pick(values: Sequence[T], random: Random) -> T:
    return values[int(random.random() * len(values))]
