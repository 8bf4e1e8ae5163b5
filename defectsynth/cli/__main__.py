"""``python -m defectsynth.cli``."""

from defectsynth.cli import main

if __name__ == "__main__":
    main()
