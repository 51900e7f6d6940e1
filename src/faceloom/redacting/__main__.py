"""The process that writes redacted files, `python -m faceloom.redacting`: a door through which its modules come in."""

from faceloom.starting import importing

if __name__ == "__main__":
    with importing():
        from faceloom.redacting.process import main
    main()
