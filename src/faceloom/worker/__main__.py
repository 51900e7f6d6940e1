"""The worker process, `python -m faceloom.worker`: a door through which its modules come in."""

from faceloom.starting import importing

if __name__ == "__main__":
    with importing():
        from faceloom.worker.main import main
    main()
