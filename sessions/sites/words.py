"""Sentences for why a time cannot be used at a site."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from mesoclinic.accounts.models import Site, User
from sessions.sites.availability import Obstacle
from sessions.words import day_words, time_words


def not_open(obstacle: Obstacle, *, starts_at: datetime, ends_at: datetime, who: User, site: Site) -> str:
    """Why the site or the practitioner is not there at this time."""
    words = {
        "site": site,
        "who": who,
        "day": day_words(obstacle.day),
        "why": obstacle.why,
        "start": time_words(starts_at, site),
        "end": time_words(ends_at, site),
    }
    if obstacle.code == "closed":
        return _("%(site)s is closed on %(day)s: %(why)s.") % words
    if obstacle.code == "away":
        return _("%(who)s is not there on %(day)s at this time: %(why)s.") % words
    if obstacle.code == "site_hours":
        return _("%(site)s is not open from %(start)s to %(end)s on %(day)s, or not long enough around it.") % words
    return _("%(who)s does not work at %(site)s from %(start)s to %(end)s on that day.") % words
