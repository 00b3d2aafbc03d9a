"""Studies built on the library, each one command; README.md holds their designs."""
