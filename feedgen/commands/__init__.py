"""What each command does; feedgen/cli.py says how it is called."""
