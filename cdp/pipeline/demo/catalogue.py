"""What the demo shop sells and how it advertises."""

from typing import NamedTuple


class Product(NamedTuple):
    """A product with its JSON as it stands in an order line (without quantity), and its page."""

    sku: str
    name: str
    category: str
    cents: int
    line: str
    page: str


class Campaign(NamedTuple):
    """An advertisement: its `utm_*` values as JSON and as the query of a link, and the months in which it runs."""

    name: str
    medium: str
    context: str
    query: str
    months: frozenset[int]


SHOP = "https://shop.example"

_RANGE = {
    "Books": (899, ["Atlas of Rivers", "Bread at Home", "The Quiet Harbour", "A Short History of Tea", "Night Trains"]),
    "Coffee": (1290, ["Espresso Blend 1 kg", "Filter Roast 500 g", "Decaf Beans", "Moka Pot", "Hand Grinder"]),
    "Kitchen": (2450, ["Cast Iron Pan", "Chef's Knife", "Mixing Bowls", "Kettle", "Pepper Mill", "Bread Tin"]),
    "Garden": (1590, ["Watering Can", "Pruning Shears", "Herb Seeds", "Raised Bed", "Bird Feeder"]),
    "Sport": (3490, ["Yoga Mat", "Running Belt", "Trail Shoes", "Water Bottle", "Jump Rope", "Bike Light"]),
    "Toys": (1990, ["Wooden Train", "Puzzle 1000", "Kite", "Building Blocks", "Card Game"]),
    "Home": (3990, ["Wool Blanket", "Desk Lamp", "Wall Clock", "Linen Set", "Candle Trio"]),
    "Electronics": (7900, ["Headphones", "Radio", "Power Bank", "Smart Plug", "E-Reader", "Keyboard"]),
}
_EDITIONS = [("", 100), (" Plus", 135), (" Set", 220)]
_CAMPAIGNS = [
    ("spring-garden", "google", "cpc", {3, 4, 5}),
    ("summer-sale", "facebook", "paid_social", {6, 7, 8}),
    ("back-to-school", "google", "cpc", {8, 9}),
    ("black-friday", "google", "cpc", {11}),
    ("black-friday-mail", "newsletter", "email", {11}),
    ("gifts", "instagram", "paid_social", {11, 12}),
    ("winter-reading", "newsletter", "email", {1, 2, 12}),
    ("brand", "google", "cpc", set(range(1, 13))),
    ("weekly-news", "newsletter", "email", set(range(1, 13))),
    ("partners", "blog.example", "referral", set(range(1, 13))),
]


def products() -> list[Product]:
    """Everything that is sold, best sellers first."""
    made = []
    for rank, (suffix, percent) in enumerate(_EDITIONS):
        for category, (cents, names) in _RANGE.items():
            for number, name in enumerate(names):
                price = (cents * (80 + number * 25) // 100 * percent // 100) // 10 * 10 + 9
                sku = f"{category[:2].upper()}-{number + 1:02d}{rank}"
                line = (
                    f'"product_id":"{sku}","name":"{name}{suffix}","category":"{category}",'
                    f'"price":{price // 100}.{price % 100:02d}'
                )
                path = f"/{category.lower()}/{sku.lower()}"
                page = f'"page":{{"path":"{path}","url":"{SHOP}{path}","title":"{name}{suffix}"}}'
                made.append(Product(sku, name + suffix, category, price, line, page))
    return made


def campaigns() -> list[Campaign]:
    """Every advertisement of a year."""
    return [
        Campaign(
            name,
            medium,
            f'"campaign":{{"name":"{name}","source":"{source}","medium":"{medium}"}}',
            f"?utm_campaign={name}&utm_source={source}&utm_medium={medium}",
            frozenset(months),
        )
        for name, source, medium, months in _CAMPAIGNS
    ]
