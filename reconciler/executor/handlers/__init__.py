"""One small function per step: recheck, write the ledger, act once, verify.

The order is what makes kill -9 safe anywhere: an intent is in the ledger before a host is touched, a marker on the
host after the work is whole, and the intent is cleared last. Cut off in between, the next pass sees an intent, or an
unmarked volume, and makes the object anew; nothing unfinished is ever referred to by a domain.
"""
