"""`python -m crtcore` is the command `crt`."""

from crtcore.cli import main

if __name__ == "__main__":
    main()
