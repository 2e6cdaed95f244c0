"""``python -m sparcode`` is ``sparcode``, for launchers such as torchrun."""

from __future__ import annotations

from sparcode.cli import main

if __name__ == "__main__":
    main()
