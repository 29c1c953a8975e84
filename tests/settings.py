"""The product's settings with what tests need: quick hashing, mail kept in memory, files in a throw-away folder."""

import atexit
import os
import shutil
import tempfile

if "MESOCLINIC_DATA_DIR" not in os.environ:
    os.environ["MESOCLINIC_DATA_DIR"] = tempfile.mkdtemp(prefix="mesoclinic-test-")
    # Whoever made it removes it; the processes of xdist are handed the same one.
    atexit.register(shutil.rmtree, os.environ["MESOCLINIC_DATA_DIR"], ignore_errors=True)
os.environ.setdefault("SECRET_KEY", "only-for-tests-" + "x" * 40)

from tests import instant

instant.stand()  # here, as settings come first in every process of the suite, also in those that a test starts

from mesoclinic.settings import *  # noqa: E402, F403
from mesoclinic.settings import CACHES, DATABASES, REDIS_URL  # noqa: E402

ALLOWED_HOSTS = ["*"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
if REDIS_URL:
    # The real cache and broker; each test process has a database of its own, as cache.clear() empties a whole one.
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw-1").removeprefix("gw"))
    CACHES["default"]["LOCATION"] = f"{REDIS_URL.rpartition('/')[0]}/{worker + 2}"
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    CELERY_BROKER_URL = "memory://"
    CELERY_BROKER_TRANSPORT_OPTIONS: dict = {}
WHITENOISE_AUTOREFRESH = True
DATABASES["default"]["CONN_MAX_AGE"] = 0
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Nothing of a test run has to survive a power cut.
    DATABASES["default"]["OPTIONS"]["init_command"] = (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA recursive_triggers=ON;"
    )
# Tasks are called by name in the tests that want them; no worker listens, so none runs by itself.
CELERY_TASK_ALWAYS_EAGER = False
