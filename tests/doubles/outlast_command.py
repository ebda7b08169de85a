"""The console script `outlast`, as a program that tests fork."""

from outlast.cli.app import main

if __name__ == "__main__":
    main()
