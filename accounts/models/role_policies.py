"""What a role asks of its members beyond a password."""

from django.contrib.auth.models import Group
from django.db import models


class RolePolicy(models.Model):
    """Rules for everybody who has the role; a person with several roles meets the strictest."""

    group = models.OneToOneField(Group, on_delete=models.CASCADE, related_name="policy")
    mfa_required = models.BooleanField(
        "second factor required",
        default=False,
        help_text="Members without a second factor can do nothing but enrol one.",
    )
    networks = models.JSONField(
        default=list,
        blank=True,
        help_text="Networks that members may come from, such as 10.0.0.0/8. Empty: from anywhere.",
    )

    class Meta:
        verbose_name_plural = "role policies"
        default_permissions = ("change", "view")

    def __str__(self) -> str:
        return f"Policy of {self.group.name}"
