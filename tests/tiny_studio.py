"""Streamlit's command line in a process whose studio has the tiny settings."""

from __future__ import annotations

from streamlit.web.cli import main

from app.session import loaders
from tests.tiny import tiny_studio_settings

if __name__ == "__main__":
    loaders.run_config = tiny_studio_settings
    main()
