"""`crt`, also as `python -m crt_cli`: what Ctrl-C and SIGTERM do is settled before anything is imported."""


def main() -> None:
    """Runs the command; Ctrl-C and SIGTERM end it at once, with one line, but where it says `interruptible`.

    An exception would not do: imports, most of all those of plugins, may catch one or print it with a traceback.
    """
    import os

    def end(number: int, _: object = None) -> None:
        try:
            os.write(2, b"stopped\n" if number == 2 else b"terminated\n")
        finally:
            os._exit(128 + number)

    try:
        import signal

        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as for what a shell starts in the background
                signal.signal(number, end)
    except KeyboardInterrupt:
        end(2)
    from crt_cli.commands import main as crt

    crt()


if __name__ == "__main__":
    main()
