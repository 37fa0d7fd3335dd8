"""`manage.py setup_roles`: the groups of people and systems that work here. Safe to repeat."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

# Everybody in a group may look; nobody sees keys, users or groups by that.
READ = (
    "campaigns.view_brand",
    "campaigns.view_campaign",
    "campaigns.view_fact",
    "campaigns.view_value",
    "campaigns.view_run",
    "campaigns.view_segment",
    "campaigns.view_product",
    "campaigns.view_profile",
    "campaigns.view_traitrule",
    "campaigns.view_attributedefinition",
    "campaigns.view_sendingrules",
    "campaigns.view_frequencycap",
    "campaigns.view_blackout",
    "generation.view_piece",
    "generation.view_modelversion",
    "delivery.view_delivery",
)
_BRIEF = ("brand", "campaign", "fact", "value", "segment")

# Who writes does not approve, who approves does not send. A person may be in several groups; the rule that nobody
# approves a text they edited themselves holds all the same.
ROLES: dict[str, tuple[str, ...]] = {
    "Writers": (
        *(f"campaigns.{verb}_{model}" for model in _BRIEF for verb in ("add", "change")),
        "campaigns.delete_fact",
        "campaigns.delete_value",
        "campaigns.launch_campaign",
        # What may be said of a reader is the marketer's trade; what is kept of people stays the operator's.
        *(f"campaigns.{verb}_traitrule" for verb in ("add", "change", "delete")),
        "generation.edit_piece",
    ),
    "Reviewers": ("generation.review_piece",),
    # Who leads the review sees how it is done, and decides nothing: the two would test themselves.
    "Leads": (
        "generation.view_plant",
        "generation.plant_piece",
        "generation.view_pieceevent",
        "generation.export_pieceevent",
    ),
    "Senders": (
        "campaigns.launch_campaign",
        "campaigns.send_campaign",
        "campaigns.view_suppression",
        "campaigns.change_sendingrules",
        *(
            f"campaigns.{verb}_{model}"
            for model in ("frequencycap", "blackout")
            for verb in ("add", "change", "delete")
        ),
        "delivery.view_reporttally",
    ),
    "Operators": (
        "campaigns.launch_campaign",
        "campaigns.add_import",
        "campaigns.view_import",
        "campaigns.view_trackedmessage",
        "campaigns.delete_profile",
        "delivery.view_reporttally",
        "campaigns.export_profile",
        "campaigns.view_erasure",
        "campaigns.view_retentionrule",
        "campaigns.change_retentionrule",
        *(f"campaigns.{verb}_purpose" for verb in ("add", "change", "view")),
        *(f"campaigns.{verb}_suppression" for verb in ("add", "delete", "view")),
        *(f"campaigns.{verb}_product" for verb in ("add", "change", "delete")),
        *(f"campaigns.{verb}_traitrule" for verb in ("add", "change", "delete")),
        *(f"campaigns.{verb}_attributedefinition" for verb in ("add", "change", "delete")),
        "generation.promote_modelversion",
        "campaigns.assign_brand",
        *(f"core.{verb}_apikey" for verb in ("add", "change", "view")),
        *(f"delivery.{verb}_webhookendpoint" for verb in ("add", "change", "delete", "view", "replay")),
        "delivery.view_webhookmessage",
        "auth.view_user",
        "auth.view_group",
    ),
    # For the people that API keys act as: a CRM sends in people, consent and results, and decides nothing.
    "Integrations": (
        "campaigns.add_profile",
        "campaigns.change_profile",
        "campaigns.delete_profile",
        "campaigns.export_profile",
        "campaigns.view_erasure",
        "campaigns.add_suppression",
        "campaigns.add_product",
        "campaigns.change_product",
        "campaigns.add_event",
        "delivery.add_outcome",
        *(f"delivery.{verb}_webhookendpoint" for verb in ("add", "change", "delete", "view", "replay")),
    ),
}


@transaction.atomic
def setup() -> dict[str, int]:
    """Make the groups and give each exactly its permissions; how many each has. Who is in them stays."""
    known = {
        f"{p.content_type.app_label}.{p.codename}": p
        for p in Permission.objects.select_related("content_type")
    }
    made = {}
    for name, own in ROLES.items():
        wanted = {*READ, *own}
        if missing := sorted(wanted - known.keys()):
            raise CommandError(
                f"These permissions do not exist yet: {', '.join(missing)}. Run migrate first."
            )
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.set([known[permission] for permission in wanted])
        made[name] = len(wanted)
    return made


class Command(BaseCommand):
    help = (
        "Create the groups Writers, Reviewers, Leads, Senders, Operators and Integrations "
        "with their permissions, or bring them up to date."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        for name, count in setup().items():
            if options["verbosity"]:
                self.stdout.write(f"{name}: {count} permissions")
