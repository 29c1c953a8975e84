"""The table of URLs. Applications are named by dotted string only.

Of django-allauth only the pages that staff need are here: nobody signs up, and a forgotten password is renewed by the
director, so that no secret ever travels by mail.
"""

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.usersessions import views as usersessions
from django.urls import URLPattern, URLResolver, include, path

_log_in: list[URLPattern | URLResolver] = [
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("password/change/", account.password_change, name="account_change_password"),
    path("sessions/", usersessions.list_usersessions, name="usersessions_list"),
    path("2fa/", mfa.index, name="mfa_index"),
    path("2fa/authenticate/", mfa.authenticate, name="mfa_authenticate"),
    path("2fa/reauthenticate/", mfa.reauthenticate, name="mfa_reauthenticate"),
    path("2fa/totp/activate/", totp.activate_totp, name="mfa_activate_totp"),
    path("2fa/totp/deactivate/", totp.deactivate_totp, name="mfa_deactivate_totp"),
    path("2fa/recovery-codes/", recovery_codes.view_recovery_codes, name="mfa_view_recovery_codes"),
    path(
        "2fa/recovery-codes/generate/",
        recovery_codes.generate_recovery_codes,
        name="mfa_generate_recovery_codes",
    ),
    path(
        "2fa/recovery-codes/download/",
        recovery_codes.download_recovery_codes,
        name="mfa_download_recovery_codes",
    ),
]

_api: list[URLPattern | URLResolver] = [
    path("", include("patients.api.urls")),
    path("", include("protocols.api.urls")),
    path("", include("sessions.booking.api_urls")),
    path("", include("mesoclinic.api.urls")),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("accounts/", include(_log_in)),
    path("api/v1/", include(_api)),
    path("", include("mesoclinic.staff.urls")),
    path("", include("mesoclinic.health.urls")),
    path("", include("mesoclinic.messaging.urls")),
    path("", include("mesoclinic.documents.urls")),
    path("", include("mesoclinic.audit.urls")),
    path("", include("patients.urls")),
    path("", include("protocols.urls")),
    path("a/", include("sessions.inbox.urls_patient")),
    path("", include("sessions.inbox.urls")),
    path("", include("sessions.sites.urls")),
    path("", include("sessions.urls")),
]
