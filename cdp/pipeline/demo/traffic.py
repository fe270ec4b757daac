"""What people do in the demo shop over the days: the messages of one person, in order of time, as JSON.

The texts are put together directly, without objects in between: about 5 µs a message. Times have whole seconds. All of
it follows from (seed, number of the person, days, until), so the same call gives the same bytes.
"""

from datetime import date, timedelta
from math import log
from random import Random

from cdp.pipeline.demo.catalogue import SHOP, Campaign, Product, campaigns, products
from cdp.pipeline.demo.people import (
    BUYER,
    LOYAL,
    SUBSCRIBER,
    VISITOR,
    Device,
    Person,
    anonymous_id,
    dice,
    kind_of,
    make_person,
)

_DAY = 86_400
_VISIT = 3600  # no visit takes longer; one that would begin later than this before the end does not happen
_SEASON = (0.75, 0.7, 0.8, 0.85, 0.85, 0.8, 0.7, 0.72, 0.85, 0.9, 1.0, 0.98)
_HOURS = (7, 8, 8, 9, 10, 11, 12, 12, 13, 15, 16, 17, 18, 18, 19, 19, 20, 20, 20, 21, 21, 22, 22, 23)
_LATER_VISITS = {VISITOR: 0.4, SUBSCRIBER: 1.2, BUYER: 3.5, LOYAL: 13.5}
_BUYS = {VISITOR: 0.0, SUBSCRIBER: 0.04, BUYER: 0.3, LOYAL: 0.45}
_MAIL_GAP_DAYS = {SUBSCRIBER: 70, BUYER: 110, LOYAL: 60}
_WORDS = ("gift", "coffee", "lamp", "knife", "atlas", "kite", "blanket", "seeds", "shoes", "radio")
_MAILBOX = '{"library":{"name":"mailer"}}'


class Shop:
    """Two years of a shop: `messages(number)` are those of one person.

    `until` is the day after the last one; `days` how many there are.
    """

    def __init__(self, seed: int, *, until: date, days: int) -> None:
        self.seed = seed
        self.days = days
        first = until - timedelta(days=days)
        calendar = [first + timedelta(days=n) for n in range(days)]
        self._dates = [day.isoformat() for day in calendar]
        self._months = [day.month for day in calendar]
        self._busy = [_SEASON[day.month - 1] * (1.0 if day.weekday() < 5 else 0.85) for day in calendar]
        self._products = products()
        self._by_month = [[c for c in campaigns() if month in c.months] for month in range(13)]

    def messages(self, number: int) -> list[bytes]:
        """Everything that person `number` sends, oldest first."""
        random = dice(self.seed, number)
        person = make_person(self.seed, number, random)
        return _Life(self, person, random).messages()

    def busy_day(self, early: int, late: int, random: Random, growth: float = 1.0) -> int:
        """A day from `early` to before `late`, more likely in a busy season, and later with `growth` under 1."""
        day = early
        for _ in range(3):
            day = early + int((late - early) * random.random() ** growth)
            if random.random() < self._busy[day]:
                break
        return day

    def campaign(self, day: int, random: Random) -> Campaign:
        """One that runs on that day."""
        running = self._by_month[self._months[day]]
        return running[int(random.random() * len(running))]

    def product(self, favourite: int, random: Random) -> Product:
        """One to look at: best sellers and the favourite category more often."""
        chance = random.random()
        place = int(chance * chance * len(self._products))
        if random.random() < 0.35:
            place = (place // 41 * 41 + favourite * 5 + place % 5) % len(self._products)
        return self._products[place]

    def stamp(self, second: int) -> str:
        """ISO 8601 of a second since the beginning of the first day."""
        day, rest = divmod(second, _DAY)
        return f"{self._dates[day]}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}Z"


class _Life:
    """One person's time with the shop."""

    def __init__(self, shop: Shop, person: Person, random: Random) -> None:
        self.shop = shop
        self.person = person
        self.random = random
        self.sent: list[tuple[int, str]] = []
        self.end = shop.days * _DAY
        self.now = 0
        self.orders = 0
        self.spent = 0
        self.plan = "free"
        self.entered: set[str] = set()
        self.signed_up = False

    def messages(self) -> list[bytes]:
        """All messages, oldest first; what is drawn after the last day does not happen."""
        shop, random = self.shop, self.random
        start = shop.busy_day(0, shop.days, random, growth=0.75)
        last = min(shop.days - 1, start + int(-log(1 - random.random()) * 240) + 1)
        visits = 1 + int(-log(1 - random.random()) * _LATER_VISITS[self.person.kind])
        times = sorted(shop.busy_day(start, last + 1, random) for _ in range(visits - 1))
        for nth, day in enumerate([start, *times]):
            self._visit(nth, day)
        if self.signed_up and self.person.wants_mail:
            self._mails(start, last)
        if self.signed_up and random.random() < 0.3:
            self._borrowed_tablet(last)
        ordered = sorted(self.sent, key=lambda item: item[0])
        head = f'{{"messageId":"demo-{shop.seed}-{self.person.number}-'
        stamp = shop.stamp
        return [
            f'{head}{n}","timestamp":"{stamp(second)}",{text}}}'.encode()
            for n, (second, text) in enumerate(item for item in ordered if item[0] < self.end)
        ]

    def _visit(self, nth: int, day: int) -> None:
        person, random = self.person, self.random
        device = person.devices[int(random.random() * len(person.devices)) if self.signed_up else 0]
        at = day * _DAY + _HOURS[int(random.random() * 24)] * 3600 + int(random.random() * 3600)
        self.now = max(self.now + 3600, min(at, self.end - _VISIT))
        if self.now > self.end - _VISIT:
            return
        campaign = self.shop.campaign(day, random) if random.random() < 0.42 else None
        context = device.context + (campaign.context + "," if campaign else "")
        self._page(device, context, "Home", "/", campaign.query if campaign else "")
        if random.random() < 0.22:
            self._search(device, context)
        seen = [self._look(device, context) for _ in range(1 + int(random.random() * 3.2))]
        if person.kind == VISITOR:
            return
        if not self.signed_up and (nth >= 1 or random.random() < 0.75 or person.kind == LOYAL):
            self._sign_up(device, context)
        elif self.signed_up and device.anonymous_id not in self.entered:
            self._log_in(device, context)
        if self.signed_up and random.random() < _BUYS[person.kind]:
            self._buy(device, context, seen)
        elif random.random() < 0.12:
            self._add(device, context, seen[0], 1)

    def _ids(self, device: Device) -> str:
        if device.anonymous_id in self.entered:
            return f'"anonymousId":"{device.anonymous_id}","userId":"{self.person.user_id}"'
        return f'"anonymousId":"{device.anonymous_id}"'

    def _send(self, seconds: float, text: str) -> None:
        self.now += 4 + int(self.random.random() * seconds)
        self.sent.append((self.now, text))

    def _track(self, device: Device, context: str, event: str, properties: str, seconds: float) -> None:
        page = "" if device.app else f'"page":{{"url":"{SHOP}/","path":"/"}},'
        self._send(
            seconds,
            f'"type":"track",{self._ids(device)},"event":"{event}","properties":{{{properties}}},'
            f'"context":{context}{page}"library":{{"name":"analytics.js"}}}}',
        )

    def _page(self, device: Device, context: str, name: str, path: str, query: str) -> None:
        call = "screen" if device.app else "page"
        url = f"{SHOP}{path}{query}"
        self._send(
            20,
            f'"type":"{call}",{self._ids(device)},"name":"{name}","properties":{{"path":"{path}","url":"{url}"}},'
            f'"context":{context}"page":{{"path":"{path}","url":"{url}"}}}}',
        )

    def _search(self, device: Device, context: str) -> None:
        word = _WORDS[int(self.random.random() * len(_WORDS))]
        self._track(device, context, "Products Searched", f'"query":"{word}"', 30)

    def _look(self, device: Device, context: str) -> Product:
        product = self.shop.product(self.person.favourite, self.random)
        self._send(
            90,
            f'"type":"track",{self._ids(device)},"event":"Product Viewed",'
            f'"properties":{{{product.line},"currency":"{self.person.land.currency}"}},"context":{context}{product.page}}}',
        )
        return product

    def _add(self, device: Device, context: str, product: Product, quantity: int) -> None:
        properties = f'{product.line},"quantity":{quantity},"currency":"{self.person.land.currency}"'
        self._track(device, context, "Product Added", properties, 40)

    def _sign_up(self, device: Device, context: str) -> None:
        person = self.person
        self.signed_up = True
        self.entered.add(device.anonymous_id)
        self._identify(device, context, f'{person.traits},"plan":"free"')
        method = "newsletter" if person.kind == SUBSCRIBER else "form"
        self._track(device, context, "Signed Up", f'"method":"{method}"', 10)
        granted = "true" if person.wants_mail else "false"
        self._track(device, context, "Consent Updated", f'"consentType":"MARKETING_EMAIL","granted":{granted}', 5)

    def _log_in(self, device: Device, context: str) -> None:
        self.entered.add(device.anonymous_id)
        self._identify(device, context, f'"email":"{self.person.email}"')
        self._track(device, context, "Signed In", '"method":"password"', 10)

    def _identify(self, device: Device, context: str, traits: str) -> None:
        self._send(
            60,
            f'"type":"identify",{self._ids(device)},"traits":{{{traits}}},"context":{context}"page":{{"path":"/account"}}}}',
        )

    def _buy(self, device: Device, context: str, seen: list[Product]) -> None:
        random, currency = self.random, self.person.land.currency
        lines, total = [], 0
        for product in dict.fromkeys(seen[: 1 + int(random.random() * 2)]):
            quantity = 2 if random.random() < 0.15 else 1
            self._add(device, context, product, quantity)
            lines.append(f'{{{product.line},"quantity":{quantity}}}')
            total += product.cents * quantity
        self._track(device, context, "Checkout Started", f'"value":{_money(total)},"currency":"{currency}"', 60)
        if random.random() < 0.2:
            return
        coupon = ""
        if random.random() < 0.15:
            coupon, total = ',"coupon":"WELCOME10"', total * 9 // 10
        self.orders += 1
        self.spent += total
        order = f'"order_id":"o{self.shop.seed}-{self.person.number + 1}-{self.orders}"'
        money = f'"revenue":{_money(total)},"currency":"{currency}"'
        self._track(device, context, "Order Completed", f'{order},{money}{coupon},"products":[{",".join(lines)}]', 120)
        self._after_order(device, context, order, money)

    def _after_order(self, device: Device, context: str, order: str, money: str) -> None:
        random = self.random
        plan = "gold" if self.spent >= 50_000 else "silver" if self.spent >= 15_000 else "free"
        if plan != self.plan:
            self.plan = plan
            self._identify(device, context, f'"plan":"{plan}"')
        if random.random() < 0.18:
            mood = (9 if self.person.kind == LOYAL else 8) - int(-log(1 - random.random()) * 1.6)
            score = max(0, min(10, mood + int(random.random() * 3)))
            self._server(3 * _DAY, "Survey Completed", f'"survey":"NPS","score":{score},{order}')
        if random.random() < 0.05:
            self._server(9 * _DAY, "Order Refunded", f"{order},{money}")
        if random.random() < 0.04:
            self._server(2 * _DAY, "Support Ticket Opened", f'"topic":"delivery",{order}')

    def _server(self, later: int, event: str, properties: str) -> None:
        """Something that happens without a visit: sent by the shop's own systems with the user id alone."""
        at = self.now + later + int(self.random.random() * _DAY)
        self.sent.append((at, self._by_user(event, properties)))

    def _by_user(self, event: str, properties: str) -> str:
        user = self.person.user_id
        return f'"type":"track","userId":"{user}","event":"{event}","properties":{{{properties}}},"context":{_MAILBOX}'

    def _mails(self, start: int, last: int) -> None:
        random, gap = self.random, _MAIL_GAP_DAYS[self.person.kind]
        signed_up = next(second for second, text in self.sent if text.startswith('"type":"identify"'))
        day = float(start)
        while True:
            day += -log(1 - random.random()) * gap + 1
            if day >= last + 1 or day >= self.shop.days:
                return
            at = int(day) * _DAY + 8 * 3600 + int(random.random() * 40_000)
            if at > signed_up:
                name = self.shop.campaign(int(day), random).name
                self.sent.append((at, self._by_user("Email Opened", f'"campaign":"{name}"')))
                if random.random() < 0.2:
                    self.sent.append((at + 30, self._by_user("Email Clicked", f'"campaign":"{name}"')))

    def _borrowed_tablet(self, last: int) -> None:
        """A look at the shop on a device of somebody who is known by it: that must not join the two."""
        other = self.person.number - 1
        if other < 0 or kind_of(dice(self.shop.seed, other)) != LOYAL:  # they sign up at their first visit
            return
        borrowed = Device(anonymous_id(self.shop.seed, other, 0), self.person.devices[0].context, False)
        self.entered.add(borrowed.anonymous_id)
        self.now = max(self.now + 7200, last * _DAY + 20 * 3600)
        self._look(borrowed, borrowed.context)


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"
