"""The WSGI application, which the ASGI bridge calls."""

import os
from typing import Final

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opsplatform.settings")
application: Final = get_wsgi_application()
