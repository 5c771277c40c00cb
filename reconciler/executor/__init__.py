"""Carries a plan out: rechecks, acts once, verifies, and never re-decides."""
