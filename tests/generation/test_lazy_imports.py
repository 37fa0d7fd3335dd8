"""Web, beat and admin processes load no model library: it would cost each some hundred megabytes and seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "transformers", "sentence_transformers", "peft", "numpy.testing", "safetensors")
PROGRAM = """
import sys, django
django.setup()
{body}
heavy = [name for name in {heavy} if name in sys.modules]
sys.exit(f"loaded: {{heavy}}" if heavy else 0)
"""
PROCESSES = {
    "web": "import personalize.wsgi, personalize.urls; from django.urls import get_resolver\n"
    "get_resolver().url_patterns",
    "admin": "from django.contrib import admin\nadmin.autodiscover(); assert admin.site._registry",
    "beat": "import personalize.celery as c\nc.app.loader.import_default_modules(); assert c.app.conf.beat_schedule",
    "services": "import generation.drafting, generation.review, generation.embedding, generation.indexing\n"
    "import generation.versions, generation.engines, generation.loading\n"
    "from django.core.management import call_command; call_command('check')",
}


@pytest.mark.parametrize("process", PROCESSES)
def test_no_model_library_is_loaded(process: str) -> None:
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "personalize.settings",
        "SECRET_KEY": settings.SECRET_KEY,
        "HASH_KEY": settings.HASH_KEY,
    }

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=PROCESSES[process], heavy=HEAVY)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr[-2000:]
