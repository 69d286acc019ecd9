#!/usr/bin/env python
"""Django's command line for Tapback."""

import os
import sys
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from config import environment

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        if sys.argv[1:2] == ["up"]:
            # Before the settings are read, which may refuse to go without.
            environment.keep_secrets(Path(__file__).resolve().parent)
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Tapback is not set up correctly: {error}")
    except KeyboardInterrupt:
        sys.exit(130)  # a Ctrl-C before there was anything to stop
