"""Roles, signed-in clients, and a small world that has one row of everything the admin shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Group, User
from django.test import Client

from campaigns.models import ReviewPolicy
from delivery.management.commands import setup_roles
from generation.models import PieceEvent, Status
from tests import factories
from tests.admin.chromium import browser, open_desk, scene  # noqa: F401  fixtures

ROLES = ("Writers", "Reviewers", "Senders", "Operators", "Leads")


@pytest.fixture(autouse=True, scope="session")
def _static_folder() -> None:
    Path(django_settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)  # whitenoise warns of a missing one


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def roles(db: None) -> dict[str, User]:
    """One person of each role, one staff member without any, and a superuser."""
    setup_roles.setup()
    people: dict[str, User] = {}
    for role in ROLES:
        people[role] = factories.UserFactory(username=role.lower().rstrip("s"))
        people[role].groups.add(Group.objects.get(name=role))
    people["nobody"] = factories.UserFactory(username="nobody")
    people["superuser"] = factories.SuperuserFactory(username="root")
    return people


@pytest.fixture
def client_of(roles: dict[str, User]) -> Callable[[str], Client]:
    def make(role: str) -> Client:
        client = Client()
        client.force_login(roles[role])
        return client

    return make


@pytest.fixture
def world(db: None) -> SimpleNamespace:
    """A launched campaign with a piece in review, one approved, one uncertain, and a row of everything else."""
    campaign = factories.CampaignFactory(review_policy=ReviewPolicy.CLEAN_TOGETHER)
    run = factories.RunFactory(campaign=campaign)
    piece = factories.PieceFactory(run=run)
    factories.PieceEventFactory(piece=piece)
    approved = factories.PieceFactory(run=run, status=Status.APPROVED)
    unknown = factories.PieceFactory(run=run, status=Status.UNKNOWN)
    delivery = factories.DeliveryFactory(piece=unknown, status="unknown")
    event = factories.EventFactory(profile=piece.profile)
    planted = factories.PieceFactory(run=run, planted=True, status=Status.WITHDRAWN)
    plant = factories.PlantFactory(piece_id=planted.pk, run=run, outcome="void")
    audited = PieceEvent.objects.get()
    webhook_message = factories.WebhookMessageFactory(status="dead")
    plan = factories.SamplePlanFactory(run=run, since_event=audited.pk)
    return SimpleNamespace(
        campaign=campaign,
        brand=campaign.brand,
        segment=campaign.segment,
        run=run,
        piece=piece,
        approved=approved,
        unknown=unknown,
        delivery=delivery,
        profile=piece.profile,
        event=event,
        product=event.product,
        version=piece.model_version,
        audited=audited,
        plan=plan,
        stratum=factories.SampleStratumFactory(plan=plan, piece=piece),
        plant=plant,
        export=factories.ExportFileFactory(run=run),
        tally=factories.ReportTallyFactory(),
        importing=factories.ImportFactory(),
        rule=(rule := factories.TraitRuleFactory()),
        rule_version=factories.TraitRuleVersionFactory(rule=rule, rule_name=rule.name),
        tracked=factories.TrackedMessageFactory(),
        attribute=factories.AttributeDefinitionFactory(name="prefers"),
        suppression=factories.SuppressionFactory(),
        purpose=factories.PurposeFactory(),
        erasure=factories.ErasureFactory(),
        retention=factories.RetentionRuleFactory(),
        key=factories.ApiKeyFactory(),
        webhook=webhook_message.endpoint,
        webhook_message=webhook_message,
    )
