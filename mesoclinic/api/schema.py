"""The API's published schema. Apart from ``api.py``, which the framework loads before its own views are ready."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.views import SpectacularJSONAPIView

from mesoclinic.accounts.access import Permission


class SchemaView(SpectacularJSONAPIView):
    """The OpenAPI schema, for everybody who is signed in and works here."""

    access: ClassVar[dict[str, Permission]] = {"GET": Permission.PATIENT_READ}
