"""How long the audit log keeps what it holds."""

from opsplatform.env import ENV

ENV.section("Audit")
OPS_AUDIT_RETENTION_DAYS = ENV.integer(
    "OPS_AUDIT_RETENTION_DAYS",
    default=365,
    minimum=180,
    maximum=36_500,
    about="Days that audit records stay in the database before they move into archives; "
    "180 at least.",
)
OPS_AUDIT_LEGAL_HOLD = ENV.boolean(
    "OPS_AUDIT_LEGAL_HOLD",
    default=False,
    about="Keeps every audit record in the database while it is set, whatever its age.",
)
