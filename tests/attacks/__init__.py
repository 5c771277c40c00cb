"""The attack cases by number: what is refused, by which error, and that it echoes nothing."""
