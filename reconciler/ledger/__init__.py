"""What must be remembered and can't be observed."""
