"""Settings, in titled sections. What may differ between installs comes from the environment (see .env.example)."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from mesoclinic.core import env

BASE_DIR = Path(__file__).resolve().parent.parent

# ------------------------------------------------------------------ Where this install keeps its data
DATA_DIR = Path(env.text("MESOCLINIC_DATA_DIR", str(BASE_DIR / "var")))
# Links in e-mails start with it.
SITE_URL = env.text("MESOCLINIC_URL", f"http://127.0.0.1:{env.text('PORT', '8000')}").rstrip("/")

# ------------------------------------------------------------------ Security
DEBUG = env.flag("MESOCLINIC_DEBUG")
SECRET_KEY = env.secret_key("SECRET_KEY", data_dir=DATA_DIR)
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
HTTPS = env.flag("MESOCLINIC_HTTPS", SITE_URL.startswith("https://"))
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
BEHIND_PROXY = env.flag("MESOCLINIC_BEHIND_PROXY")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if BEHIND_PROXY else 0  # or one stranger's failed log-ins would lock everybody out
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
SESSION_COOKIE_HTTPONLY = True
CSRF_COOKIE_HTTPONLY = True  # htmx takes the token from the page
CSRF_FAILURE_VIEW = "mesoclinic.ui.views.csrf_failure"
SESSION_COOKIE_AGE = int(timedelta(hours=12).total_seconds())
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}

# ------------------------------------------------------------------ Applications
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
    "django_filters",
    "django_htmx",
    "template_partials",
    "rest_framework",
    "drf_spectacular",
    "mesoclinic.ui.apps.UiConfig",
    "mesoclinic.accounts.apps.AccountsConfig",
    "mesoclinic.audit.apps.AuditConfig",
    "mesoclinic.messaging.apps.MessagingConfig",
    "mesoclinic.documents.apps.DocumentsConfig",
    "patients.apps.PatientsConfig",
    "protocols.apps.ProtocolsConfig",
    "sessions.apps.SessionsConfig",  # its label is treatment_sessions: Django's own app holds "sessions"
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "mesoclinic.login.again.SendAgainMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "mesoclinic.accounts.middleware.ClinicMiddleware",
    "mesoclinic.accounts.middleware.SecondFactorMiddleware",
    "mesoclinic.core.errors.DomainErrorMiddleware",
    "mesoclinic.ui.middleware.KeptFormMiddleware",
]
ROOT_URLCONF = "mesoclinic.urls"
WSGI_APPLICATION = "mesoclinic.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "mesoclinic.ui.context.page",
            ],
            "builtins": ["mesoclinic.ui.templatetags.ui", "protocols.templatetags.clinical"],
        },
    }
]

# ------------------------------------------------------------------ Database
DATABASES = {"default": env.database("DATABASE_URL", sqlite_path=DATA_DIR / "mesoclinic.sqlite3")}

# ------------------------------------------------------------------ Background work
REDIS_URL = env.redis("REDIS_URL")
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object]
_BROKER_DIR = DATA_DIR / "broker"
if REDIS_URL:
    CELERY_BROKER_URL = REDIS_URL
    # A task that was running when its worker was killed comes back after the visibility timeout, and the sweep that
    # returns it runs every 5 s (kombu's own throttle would make it 100 s).
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "visibility_timeout": 600,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
    }
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
else:
    for _folder in ("messages", "control"):
        (_BROKER_DIR / _folder).mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_URL = "filesystem://localhost"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_BROKER_DIR / "messages"),
        "data_folder_out": str(_BROKER_DIR / "messages"),
        "control_folder": str(_BROKER_DIR / "control"),
        "store_processed": False,
        "polling_interval": 0.2,
    }
    # Log-in limits live in the cache, so every process must see the same one.
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"}}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 200
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 400_000  # KB; a process beyond it ends with its task and another takes its place
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "celerybeat-schedule")
OUTBOX_TICK_SECONDS = env.whole_number("MESOCLINIC_TICK_SECONDS", 60, at_least=1)
CELERY_BEAT_SCHEDULE = {
    # Work is rows; these ticks find what is due or was left behind. A lost broker message costs one tick.
    "messaging.deliver_due": {"task": "messaging.deliver_due", "schedule": OUTBOX_TICK_SECONDS},
    "documents.render_due": {"task": "documents.render_due", "schedule": OUTBOX_TICK_SECONDS},
    "sessions.prepare_next_prints": {"task": "sessions.prepare_next_prints", "schedule": 10 * OUTBOX_TICK_SECONDS},
}

# ------------------------------------------------------------------ E-mail
globals().update(env.email("EMAIL_URL"))
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "clinic@mesoclinic.example")
MESSAGE_ID_DOMAIN = env.text("MESSAGE_ID_DOMAIN", "mesoclinic.example")
# How long a worker may keep a message before another takes it over. Shorter than a sending takes, and mail goes twice.
MESSAGE_LEASE = timedelta(seconds=env.whole_number("MESOCLINIC_LEASE_SECONDS", 300, at_least=1))
# The wait after a refusal for now: this, then 5, 30, 120 and 360 times as long.
MESSAGE_BACK_OFF = timedelta(seconds=env.whole_number("MESOCLINIC_BACK_OFF_SECONDS", 60, at_least=1))
MESSAGE_HOLD = timedelta(seconds=env.whole_number("MESOCLINIC_HOLD_SECONDS", 180))
# From which to which hour of the site's wall clock follow-ups leave; outside it they wait for the morning.
MAIL_HOURS = (env.whole_number("MESOCLINIC_MAIL_FROM_HOUR", 8), env.whole_number("MESOCLINIC_MAIL_TO_HOUR", 20))
EMERGENCY_NUMBER = env.text("MESOCLINIC_EMERGENCY_NUMBER", "112")  # what a patient is told to call in an emergency
BOUNCE_SECRET = env.text("MESOCLINIC_BOUNCE_SECRET")  # signs the bounce webhook; empty: it is closed
EMAIL_PROVIDER = env.mail_provider("EMAIL_URL")
ANYMAIL = {
    **globals().get("ANYMAIL", {}),  # from EMAIL_URL
    "WEBHOOK_SECRET": f"mesoclinic:{BOUNCE_SECRET}",
    "REQUESTS_TIMEOUT": EMAIL_TIMEOUT,
}

# ------------------------------------------------------------------ Log-in
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_ADAPTER = "mesoclinic.login.adapter.StaffAdapter"  # no one signs up by themselves
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGIN_BY_CODE_ENABLED = False
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
ACCOUNT_SESSION_REMEMBER = False
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "mesoclinic"
REQUIRE_MFA = env.flag("MESOCLINIC_REQUIRE_MFA")  # staff without a second factor can do nothing but set one up
USERSESSIONS_TRACK_ACTIVITY = False
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# ------------------------------------------------------------------ API: closed unless a view opens it
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["mesoclinic.api.views.DeclaredPermission"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.LimitOffsetPagination",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "mesoclinic.core.errors.api_exception_handler",
    "PAGE_SIZE": 50,
    "COERCE_DECIMAL_TO_STRING": True,
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.UserRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {"user": "600/min"},
}
SPECTACULAR_SETTINGS = {
    "TITLE": "mesoclinic API",
    "DESCRIPTION": "Patients, the ingredient catalogue, proposals, plans and appointments of one clinic.",
    "VERSION": "v1",
    "SERVE_PERMISSIONS": ["mesoclinic.api.views.DeclaredPermission"],
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "PatientStatusEnum": "patients.models.PatientStatus.choices",
        "StatementKindEnum": "patients.models.StatementKind.choices",
        "PlanKindEnum": "protocols.models.enums.PlanKind.choices",
        "PlanStatusEnum": "protocols.models.enums.PlanStatus.choices",
        "AppointmentStatusEnum": "sessions.models.AppointmentStatus.choices",
    },
}

# ------------------------------------------------------------------ Languages and time
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("fr", _("French")), ("es", _("Spanish"))]
LOCALE_PATHS = [BASE_DIR / "locale", BASE_DIR / "locale/clinical"]  # docs/reference/languages.md says which is which
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"  # stored and logged in UTC; people see their site's zone

# ------------------------------------------------------------------ Static files and documents
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_ROOT = DATA_DIR / "documents"
WHITENOISE_USE_FINDERS = DEBUG
# Images and web fonts are compressed already; the .ttf fonts are read by the PDF worker only.
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ("gz", "br", "png", "jpg", "woff2", "ttf")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "django.contrib.staticfiles.storage.StaticFilesStorage"
            if DEBUG
            else "whitenoise.storage.CompressedManifestStaticFilesStorage"
        )
    },
}

# ------------------------------------------------------------------ What a lower app asks of a higher one, by name
INGREDIENT_CHOICES_PROVIDER = "protocols.formulary.catalogue.ingredient_choices"
PLAN_DATES_PROVIDER = "sessions.course.queries.session_dates_for_plan"
DAY_FACTS_DAYS = env.whole_number("MESOCLINIC_DAY_FACTS_DAYS", 30)  # so long may a plan rest on fever, pregnancy …
AFTER_PLAN_SIGNED = ("sessions.mail.followups.plan_signed",)  # called in turn in the transaction of the signature
AFTER_PLAN_STOPPED = "sessions.booking.ending.plan_stopped"  # called in the transaction that stops a plan
MESSAGE_GATE = "sessions.mail.waiting.unwanted"  # which of some messages must not leave any more, and why
MESSAGE_WRITER = "sessions.mail.rewriting.written_anew"  # what some messages would say if they were written now
SOURCE_CHANGED = (
    "sessions.renewal.renew.source_changed"  # called in the transaction that changes what others have copied
)
WHAT_HANGS_ON = "sessions.renewal.consequences.what_hangs_on"  # what a change of state would leave behind, in sentences
SEEN_ELSEWHERE = "sessions.queries.seen_elsewhere"  # people and plans with visits at a user's sites, by primary key
LINK_CLOSER = "sessions.mail.links.revoke_links"  # closes the links that have left in a person's mails
MESSAGE_QUIET = "sessions.mail.waiting.put_off"  # which of some messages must not leave in the night, and until when
MESSAGE_CAUSE = (
    "sessions.inbox.left_undone.left_undone"  # what stays so when a held message is not sent, and how to undo it
)
MESSAGE_HELD_BACK = "sessions.mail.waiting.held_back"  # which of some messages wait for a decision: until when, and why
PERSON_PAGE = "sessions:patient"  # the page about a person, by public id
PERSON_LINKS = "inbox:links"  # the links in a person's mails, by public id
PERSON_SEARCH = (
    "patients.search.finding.person_ids_found"  # whom a user finds by words: user, text -> public ids or None
)
MESSAGE_KINDS = "sessions.mail.kinds.kind_words"  # the kinds of messages by purpose, in the reader's words
PERSON_VISIBILITY = "patients.queries.visible_person_ids"  # whose messages a user may see: user -> public ids
STANDING_BAND = (
    "sessions.course.standing_band.band_of"  # what the head of every page about a patient says of their standing
)
STANDING_CHIPS = "sessions.course.standing_band.chips_of"  # the same for lists of patients: who may not be treated
STANDING_ANSWERS = "protocols.standing.standing.answers_of"  # the same for the API, of many at once
STANDING_REASONS = (
    "sessions.inbox.red_flags.standing_reasons",
)  # what else stops a treatment: patient ids -> reasons by id
PAPER_MAIL = (
    "sessions.prints.papers.way_of"  # where a press mails a document to its patient: user, document -> url or why not
)
PRINT_STATE_PROVIDER = "protocols.prints.marks.print_state"  # whether a print of a subject is current
PAPER = env.text("MESOCLINIC_PAPER", "A4")  # of printed documents: A4 or Letter
if PAPER not in ("A4", "Letter"):
    raise ImproperlyConfigured("MESOCLINIC_PAPER is A4 or Letter.")
_OF_A_PLAN = {"visible": "protocols.prints.documents.plan_pdf_visible", "page": "protocols:plan"}
_OF_A_VISIT = {"visible": "sessions.prints.documents.visit_pdf_visible", "page": "sessions:appointment"}
_TO_PREPARE = {"held": "sessions.prints.documents.why_held"}
# "held": why a file must not be taken out now, in a sentence; asked each time.
# "fit": set smaller, if need be, to come out on so many pages. "variant": another kind of PDF than PDF/UA-1.
DOCUMENT_KINDS: dict[str, dict[str, Any]] = {
    "plan_record": {"template": "documents/plan_record.html", **_OF_A_PLAN},
    "plan_archive": {"template": "documents/plan_record.html", "variant": "pdf/a-3a", **_OF_A_PLAN},
    "plan_patient": {"template": "documents/plan_patient.html", "fit": 2, "leaves": 2, **_OF_A_PLAN},
    "waiting_patient": {"template": "documents/waiting_patient.html", "fit": 1, **_OF_A_PLAN},
    "waiting_record": {"template": "documents/waiting_record.html", **_OF_A_PLAN},
    "waiting_archive": {"template": "documents/waiting_record.html", "variant": "pdf/a-3a", **_OF_A_PLAN},
    "consent": {"template": "documents/consent.html", "fit": 1, **_OF_A_PLAN},
    "aftercare": {"template": "documents/aftercare.html", "fit": 1, **_OF_A_PLAN},
    "quotation": {"template": "documents/quotation.html", "fit": 1, **_OF_A_PLAN},
    "course_schedule": {"template": "documents/course_schedule.html", "fit": 1, **_OF_A_PLAN},
    "preparation_sheet": {"template": "documents/preparation_sheet.html", "fit": 1, **_OF_A_VISIT, **_TO_PREPARE},
    "preparation_refused": {"template": "documents/preparation_refused.html", "fit": 1, **_OF_A_VISIT},
    "syringe_labels": {"template": "documents/syringe_labels.html", **_OF_A_VISIT, **_TO_PREPARE},
    "session_record": {"template": "documents/session_record.html", "fit": 1, **_OF_A_VISIT},
    "pack": {"template": "", "visible": "sessions.prints.documents.pack_visible", "many": True, **_TO_PREPARE},
}

# ------------------------------------------------------------------ Logging: to standard error, no patient data
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.text("MESOCLINIC_LOG_LEVEL", "INFO")},
    "loggers": {"fontTools": {"level": "WARNING"}, "weasyprint": {"level": "ERROR"}},
}
