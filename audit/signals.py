"""What the audit log tells other apps."""

from django.dispatch import Signal

# Sent after a verification: `findings`, a list of texts.
chain_damaged = Signal()
# Sent when records beyond their retention stay in the database: `reason`, a text.
retention_stuck = Signal()
# Sent while sealing, in its transaction: `records`, what was changed past the application.
database_bypassed = Signal()
