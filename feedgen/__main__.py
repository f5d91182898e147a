"""`python -m feedgen`."""

from feedgen.cli import main

if __name__ == "__main__":
    main()
