"""Segment's tracking calls: what a client says people did and are, taken in once for good.

`messages` reads one call (pure), `storing` takes many in, `joining` makes one person of several ids, `ledger`
remembers each message.
"""
