"""The clinic, its sites, and the people who work there."""

from __future__ import annotations

import unicodedata
import uuid
import zoneinfo
from functools import cached_property
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from mesoclinic.accounts.access import PERMISSIONS, Permission, Role
from mesoclinic.core import names


def validate_time_zone(name: str) -> None:
    if name not in zoneinfo.available_timezones():
        raise ValidationError(_("“%(name)s” is not a time zone. Write one like Europe/Paris."), params={"name": name})


def composed(text: str) -> str:
    """Return a text in composed form (NFC): “é” is one sign, whether it was typed as one or as two."""
    return unicodedata.normalize("NFC", text)


class Clinic(models.Model):
    """The one clinic of this install."""

    name = models.CharField(max_length=120)
    currency = models.CharField(max_length=3, blank=True, help_text=_("ISO 4217, for example EUR"))
    policy = models.JSONField(default=dict, blank=True, help_text=_("The engine's policy: only what differs"))
    is_sample = models.BooleanField(default=False, help_text=_("Invented data; no mail leaves the house"))

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="one_clinic")]

    def __str__(self) -> str:
        return self.name


class Paper(models.TextChoices):
    A4 = "A4", "A4"
    LETTER = "Letter", _("US Letter")


def usual_paper() -> str:
    """Return the size with which a site begins; each has its own from then on."""
    return str(settings.PAPER)


class Site(models.Model):
    """A place of the clinic, with its own wall time."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=80, unique=True)
    time_zone = models.CharField(max_length=64, validators=[validate_time_zone])
    street = models.CharField(max_length=160)
    city = models.CharField(max_length=120)
    phone = models.CharField(max_length=40)
    email = models.EmailField(blank=True)
    language = models.CharField(max_length=5, choices=settings.LANGUAGES, default="en")
    paper = models.CharField(max_length=6, choices=Paper.choices, default=usual_paper)  # of what is printed here

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def tz(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.time_zone)

    @property
    def address(self) -> str:
        return f"{self.street}, {self.city}"


class UserManager(BaseUserManager["User"]):
    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        """Lower case, composed, without what nobody sees: as log-in looks for it."""
        return names.tidy_line(email or "").lower()

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=self.normalize_email(username))


class User(AbstractBaseUser):
    """A member of staff. Patients have links, not accounts."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    email = models.EmailField(unique=True)
    title = models.CharField(max_length=20, blank=True, help_text=_("For example Dr"))
    given_name = models.CharField(max_length=80, blank=True)  # one of the two; a person may have one name only
    family_name = models.CharField(max_length=80, blank=True)
    family_name_first = models.BooleanField(default=False)
    language = models.CharField(max_length=5, choices=settings.LANGUAGES, default="en")
    sites = models.ManyToManyField(Site, related_name="staff")
    is_active = models.BooleanField(default=True)
    joined_at = models.DateTimeField(auto_now_add=True)

    objects = UserManager()
    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["given_name", "family_name"]
    is_staff = False  # Django's admin is not part of the product

    class Meta:
        ordering = ["family_name", "given_name"]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        said = names.full_name(given=self.given_name, family=self.family_name, family_first=self.family_name_first)
        return f"{self.title} {said}".strip()

    @property
    def initials(self) -> str:
        return names.initials(given=self.given_name, family=self.family_name, family_first=self.family_name_first)

    def set_password(self, raw_password: str | None) -> None:
        """Keep a password in composed form: the same letters are typed in another form on another machine."""
        super().set_password(composed(raw_password) if raw_password is not None else None)

    def check_password(self, raw_password: str | None) -> bool:
        """Compare in composed form; then as typed and decomposed, for a password that was set before that was so."""
        if raw_password is None:
            return False
        forms = dict.fromkeys((composed(raw_password), raw_password, unicodedata.normalize("NFD", raw_password)))
        return any(super(User, self).check_password(form) for form in forms)

    @cached_property
    def roles(self) -> frozenset[Role]:
        return frozenset(Role(grant.role) for grant in self.role_grants.all())

    @cached_property
    def permissions(self) -> frozenset[Permission]:
        held: set[Permission] = set()
        for role in self.roles:
            held |= PERMISSIONS[role]
        return frozenset(held) if self.is_active else frozenset()

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    @cached_property
    def site_ids(self) -> frozenset[int]:
        return frozenset(self.sites.values_list("pk", flat=True))

    @property
    def role_names(self) -> str:
        return ", ".join(str(role.label) for role in sorted(self.roles))


class RoleGrant(models.Model):
    """One role that one person holds."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="role_grants")
    role = models.CharField(max_length=20, choices=Role.choices)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "role"], name="role_granted_once")]

    def __str__(self) -> str:
        return f"{self.user}: {self.get_role_display()}"
