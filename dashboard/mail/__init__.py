"""What stands in a mail, made fit to be looked at: its parts, and its formatted text without anything that acts."""
