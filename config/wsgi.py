import os

from django.core.wsgi import get_wsgi_application

from config.supervisor import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

if os.environ.get("TOUCHSTONE_SUPERVISED"):
    die_with_parent()  # a web process outliving its killed parent would keep the port

application = get_wsgi_application()
