"""A profile as 001, 002 and 003 write it in JSON, and what it says: identifiers, traits and consents."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from cdp.core.errors import Invalid

_FIELDS = (
    "firstName", "lastName", "email", "phone", "country", "city", "postalCode", "tags", "dateOfBirth",
    "preferredContact", "address", "emergencyContact", "preferences",
)  # fmt: skip
_SNAKE = {"".join(f"_{c.lower()}" if c.isupper() else c for c in name): name for name in _FIELDS}
_IDENTIFIERS = {
    "customerId": "user_id", "customer_id": "user_id", "userId": "user_id", "user_id": "user_id", "email": "email",
    "phone": "phone", "anonymousId": "anonymous_id", "anonymous_id": "anonymous_id", "deviceIds": "device_id",
    "device_ids": "device_id", "deviceId": "device_id",
}  # fmt: skip


class ConsentGiven(msgspec.Struct):
    """003's consent: statements about e-mail, SMS and tracking."""

    email: bool | None = None
    sms: bool | None = None
    tracking: bool | None = None


class ProfileBody(msgspec.Struct, rename="camel"):
    """A profile. 003's parts, or 002's flat fields, or both.

    `externalIds`: customerId, email, phone, deviceIds, and `<system>Id` such as shopifyId. `attributes` may hold any
    key; those of `customFields` become attributes of their own. Null deletes an attribute when a profile is updated.
    """

    external_ids: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    consent: ConsentGiven | None = None
    user_id: str | int | UnsetType = UNSET
    anonymous_id: str | int | UnsetType = UNSET
    email: str | UnsetType | None = UNSET
    phone: str | UnsetType | None = UNSET
    first_name: str | UnsetType | None = UNSET
    last_name: str | UnsetType | None = UNSET
    country: str | UnsetType | None = UNSET
    city: str | UnsetType | None = UNSET
    postal_code: str | UnsetType | None = UNSET
    tags: list[str] | UnsetType | None = UNSET
    custom_fields: dict[str, Any] | UnsetType = UNSET
    date_of_birth: str | UnsetType | None = UNSET
    preferred_contact: str | UnsetType | None = UNSET
    address: dict[str, Any] | str | UnsetType | None = UNSET
    emergency_contact: dict[str, Any] | str | UnsetType | None = UNSET
    preferences: dict[str, Any] | UnsetType | None = UNSET

    def traits(self) -> dict[str, Any]:
        """Key → value; null where it is to be deleted. Raises Invalid where custom fields hide a field of ours."""
        given = {_SNAKE.get(key, key): value for key, value in self.attributes.items()}
        for field in msgspec.structs.fields(type(self)):
            value = getattr(self, field.name)
            if field.encode_name in _FIELDS and value is not UNSET:
                given[field.encode_name] = value
        custom = given.pop("customFields", given.pop("custom_fields", None))
        for fields in (custom, self.custom_fields):
            if isinstance(fields, Mapping):
                _refuse_ours(fields)
                given.update(fields)
            elif fields not in (None, UNSET):
                raise Invalid("`customFields` must be an object.", details={"path": "attributes.customFields"})
        for name in ("email", "phone"):
            if name in self.external_ids:
                given.setdefault(name, self.external_ids[name])
        return given

    def identifiers(self) -> list[tuple[str, str, str]]:
        """(type, namespace, value) of everything that identifies the person. Raises Invalid with the path."""
        given = dict(self.external_ids)
        if self.user_id is not UNSET:
            given["customerId"] = self.user_id
        if self.anonymous_id is not UNSET:
            given["anonymousId"] = self.anonymous_id
        for name in ("email", "phone"):
            value = self.traits().get(name)
            if value is not None:
                given[name] = value
        found = []
        for name, values in given.items():
            for value in values if isinstance(values, list) else [values]:
                if value is None:
                    continue
                if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
                    message = "An id is a text or a whole number."
                    raise Invalid(message, details={"path": f"externalIds.{name}"})
                found.append(_identifier(name, str(value)))
        return found

    def message(self) -> dict[str, Any]:
        """What `create_profile` takes: an identify call. Raises Invalid."""
        message: dict[str, Any] = {"traits": {k: v for k, v in self.traits().items() if v is not None}}
        external = []
        for code, namespace, value in self.identifiers():
            if code == "user_id":
                message["userId"] = value
            elif code == "anonymous_id":
                message["anonymousId"] = value
            elif code not in ("email", "phone"):
                external.append({"type": namespace or code, "id": value})
        if external:
            message["context"] = {"externalIds": external}
        return message


def _identifier(name: str, value: str) -> tuple[str, str, str]:
    """`shopifyId` is an external id of the namespace `shopify`."""
    code = _IDENTIFIERS.get(name)
    if code is not None:
        return code, "", value
    for ending in ("Id", "_id"):
        if name.endswith(ending) and len(name) > len(ending):
            return "external", name.removesuffix(ending), value
    return "external", name, value


def _refuse_ours(fields: Mapping[str, Any]) -> None:
    ours = sorted(key for key in fields if key in _FIELDS or key in _SNAKE)
    if ours:
        message = f"`{ours[0]}` is an attribute of its own and no custom field."
        raise Invalid(message, details={"path": f"attributes.customFields.{ours[0]}"})
