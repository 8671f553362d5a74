"""What a finished run or sweep looks like: tables for the terminal, figures, one HTML page."""
