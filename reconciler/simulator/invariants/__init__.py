"""What must never happen, whatever broke: each promise is looked after on its own, at every tick of a simulation."""
