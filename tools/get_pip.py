# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stands in for the ``get-pip.py`` that ansible-test would download: puts pip into the virtual environment it made without one.

Called as ``get_pip.py pip==… setuptools==… wheel==… --disable-pip-version-check …``. ``ensurepip`` runs in a child process, as it
switches pip's configuration files off for the whole process.
"""

from __future__ import annotations

import subprocess
import sys

PACKAGES = [word for word in sys.argv[1:] if word.startswith(("pip", "setuptools", "wheel"))]

subprocess.run([sys.executable, "-m", "ensurepip", "--upgrade"], check=True, stdout=subprocess.DEVNULL)
subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
