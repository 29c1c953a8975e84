"""Public holidays by country and region, from the library ``holidays``. Nothing of them is stored.

The library is imported on first use: it is not needed by a site that names no country.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import lru_cache

from django.utils.translation import get_language


@lru_cache(maxsize=1)
def _supported() -> dict[str, list[str]]:
    import holidays

    return holidays.list_supported_countries(include_aliases=False)


def countries() -> dict[str, str]:
    """Every country that is known, its name by its code, in the reader's language."""
    from babel import Locale

    names = Locale.parse(get_language() or "en", sep="-").territories
    found = {code: names.get(code, code) for code in _supported()}
    return dict(sorted(found.items(), key=lambda item: item[1]))


def regions(country: str) -> dict[str, str]:
    """The regions of a country that have holidays of their own, by the library's code, in the order of their names."""
    codes = _supported().get(country)
    if not codes:
        return {}
    aliases = _region_names(country)
    return dict(sorted(((code, aliases.get(code, code)) for code in codes), key=lambda item: item[1]))


@lru_cache(maxsize=32)
def _region_names(country: str) -> dict[str, str]:
    import holidays

    known = holidays.country_holidays(country).get_subdivision_aliases()
    # The first that is a name: "GP" and "GUA" come before Guadeloupe.
    return {code: next((name for name in names if len(name) > 3), code) for code, names in known.items()}


def holidays_of(country: str, region: str, years: Iterable[int]) -> dict[date, str]:
    """The days of these years with their names: in the reader's language where the library has it."""
    found: dict[date, str] = {}
    for year in years:
        found.update(_of_year(country, region, year, get_language() or "en"))
    return found


@lru_cache(maxsize=256)
def _of_year(country: str, region: str, year: int, language: str) -> dict[date, str]:
    if not country or country not in _supported():
        return {}
    import holidays

    known = _languages(country)
    wanted = next((code for code in known if code.split("_")[0] == language.split("-")[0]), None)
    wanted = wanted or next((code for code in known if code.startswith("en")), None)
    of_it = holidays.country_holidays(
        country,
        subdiv=region if region in regions(country) else None,
        years=year,
        observed=True,
        language=wanted,
    )
    return dict(of_it.items())


@lru_cache(maxsize=32)
def _languages(country: str) -> tuple[str, ...]:
    import holidays

    return tuple(getattr(holidays.country_holidays(country), "supported_languages", ()))
