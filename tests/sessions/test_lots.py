"""One box on the shelf is one lot, however its number is typed."""

from __future__ import annotations

from datetime import date
from importlib import import_module

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from mesoclinic.accounts.models import Site
from protocols.models import Ingredient
from sessions.models import Lot
from tests.sessions import factories

migration = import_module("sessions.migrations.0009_lot_number_without_case_and_blanks")


@pytest.fixture
def kept(lyon: Site) -> Lot:
    Ingredient.objects.create(key="biotin", name="Biotin")
    return factories.lot(ingredient="biotin", site=lyon, number="B12-77a")


@pytest.mark.parametrize("number", ["B12-77A", "b12-77a", " B12 -77 a"])
def test_lot_number_that_differs_by_case_or_blanks_is_the_same_lot(kept: Lot, number: str) -> None:
    again = Lot(product=kept.product, site=kept.site, number=number, expires_on=date(2099, 1, 31), received_ml=1)

    with pytest.raises(ValidationError, match="This lot is there already"):
        again.validate_constraints()
    with pytest.raises(IntegrityError), transaction.atomic():
        again.save()


def test_lot_number_of_another_product_site_or_sign_is_another_lot(kept: Lot) -> None:
    Lot.objects.create(
        product=kept.product, site=kept.site, number="B12-77b", expires_on=kept.expires_on, received_ml=1
    )

    assert Lot.objects.filter(product=kept.product).count() == 2


def test_migration_names_the_lots_that_were_kept_twice() -> None:
    rows = [(1, "Lyon", "B12-77a"), (1, "Lyon", "b12-77A "), (1, "Lyon", "C1"), (2, "Lyon", "c 1"), (1, "Bern", "C1")]

    assert migration.clashes(rows) == ["Lyon: 'B12-77a', 'b12-77A '"]
