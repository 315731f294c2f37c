"""Settings for Django's own tests; runs in the suite's interpreter and imports nothing of Daypass.

Both of the databases Django asks for are one, which is there already: a session makes none.
"""

import os

_DATABASE = {
    "ENGINE": "django_backend",
    "NAME": os.environ["PGDATABASE"],
    "USER": os.environ["PGUSER"],
    "PASSWORD": os.environ["PGPASSWORD"],
    "HOST": os.environ["PGHOST"],
    "PORT": os.environ["PGPORT"],
    "TEST": {"NAME": os.environ["PGDATABASE"]},
}
DATABASES = {"default": _DATABASE, "other": {**_DATABASE, "TEST": {"MIRROR": "default"}}}
TEST_RUNNER = "django_runner.RecordingRunner"
SECRET_KEY = "of no use"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
