"""A webhook receiver with Django, in one file: in a project, the view goes to views.py and the path to urls.py.

LEADLINE_WEBHOOK_SECRET=whsec_… python examples/django_receiver.py runserver 9000
"""

from __future__ import annotations

import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from follow_ups import FollowUps

from leadline.client import Webhook, WebhookVerificationError

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    ROOT_URLCONF=__name__,
    DATA_UPLOAD_MAX_MEMORY_SIZE=64 * 1024,
)
webhook = Webhook(os.environ["LEADLINE_WEBHOOK_SECRET"].split())
follow_ups = FollowUps(os.environ.get("RECEIVER_DATABASE", "receiver.db"))


# A program has no CSRF token; the signature is what proves who it is.
@csrf_exempt
@require_POST
def receive(request: HttpRequest) -> JsonResponse:
    """2xx once the event is stored; anything else, and Leadline comes again."""
    try:
        # The raw body: the signature is over these bytes, not over what they mean.
        event = webhook.verify(request.headers, request.body)
    except WebhookVerificationError as refused:
        return JsonResponse({"error": str(refused)}, status=401)
    return JsonResponse({"new": follow_ups.act_once(event)})


urlpatterns = [path("leadline", receive)]
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
