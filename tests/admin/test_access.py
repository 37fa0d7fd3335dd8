"""Who may open and who may change: every role at every page of ours, by GET and by POST."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from generation.models import Piece, Status
from tests.admin import addresses
from tests.admin.conftest import ROLES

W, R, S, O, L = ROLES  # noqa: E741
ALL = frozenset(ROLES)
NOT = None  # the method does not exist there: 405

# name -> (who may GET, who may POST). Written by hand: the code must agree with it, not make it.
MAY: dict[str, tuple[frozenset[str] | None, frozenset[str] | None]] = {
    "generation_piece_kinds": (ALL, NOT),
    "generation_brand_try": (ALL, NOT),
    "campaigns_run_numbers": (ALL, NOT),
    "generation_piece_approve": (NOT, frozenset({R})),
    "generation_piece_reject": (NOT, frozenset({R})),
    "generation_piece_write_again": (NOT, frozenset({R})),
    "generation_piece_reopen": (NOT, frozenset({R})),
    "generation_piece_retry": (NOT, frozenset({W, S, O})),
    "generation_piece_edit": (NOT, frozenset({W})),
    "generation_piece_check": (NOT, frozenset({W})),
    "generation_pieceevent_export": (frozenset({L}), NOT),
    "generation_pieceevent_verify": (NOT, frozenset({L})),
    "generation_plant_rate": (NOT, frozenset({L})),
    "generation_sampleplan_of_run": (ALL, NOT),
    "generation_sampleplan_certificate": (ALL, NOT),
    "generation_sampleplan_next": (ALL, NOT),
    "generation_sampleplan_draw": (NOT, frozenset({R})),
    "generation_sampleplan_pass": (frozenset({R}), frozenset({R})),
    "generation_sampleplan_fail": (frozenset({R}), frozenset({R})),
    "generation_sampleplan_drop": (frozenset({R}), frozenset({R})),
    "generation_modelversion_blind": (frozenset({R}), frozenset({R})),
    "generation_modelversion_promote": (frozenset({O}), frozenset({O})),
    "generation_modelversion_roll_back": (frozenset({O}), frozenset({O})),
    "campaigns_campaign_calendar": (ALL, NOT),
    "campaigns_campaign_times": (ALL, NOT),
    "campaigns_campaign_launch": (frozenset({W, S, O}), frozenset({W, S, O})),
    "campaigns_campaign_start": (frozenset({W, S, O}), frozenset({W, S, O})),
    "campaigns_campaign_pause": (frozenset({W, S, O}), frozenset({W, S, O})),
    "campaigns_campaign_archive": (frozenset({W, S, O}), frozenset({W, S, O})),
    "campaigns_campaign_experiment": (ALL, frozenset({W})),
    "campaigns_campaign_results": (ALL, NOT),
    "campaigns_campaign_results_png": (ALL, NOT),
    "campaigns_campaign_results_csv": (ALL, NOT),
    "campaigns_run_results": (ALL, NOT),
    "campaigns_run_results_png": (ALL, NOT),
    "campaigns_run_results_csv": (ALL, NOT),
    "campaigns_run_progress": (ALL, NOT),
    "campaigns_run_pause": (frozenset({W, S, O}), frozenset({W, S, O})),
    "campaigns_run_resume": (frozenset({W, S, O}), frozenset({W, S, O})),
    "campaigns_run_cancel": (frozenset({W, S, O}), frozenset({W, S, O})),
    "campaigns_run_release": (frozenset({S}), frozenset({S})),
    "campaigns_run_approve_clean": (frozenset({R}), frozenset({R})),
    "campaigns_brand_people": (frozenset({O}), frozenset({O})),
    "campaigns_profile_archive": (frozenset({O}), frozenset({O})),
    "campaigns_suppression_take_off": (frozenset({O}), frozenset({O})),
    "campaigns_retentionrule_save": (NOT, frozenset({O})),
    "campaigns_profile_erase": (frozenset({O}), frozenset({O})),
    "campaigns_traitrule_changes": (ALL, NOT),
    "campaigns_traitrule_move": (NOT, frozenset({W, O})),
    "campaigns_traitrule_switch": (NOT, frozenset({W, O})),
    "campaigns_traitrule_restore": (NOT, frozenset({W, O})),
    "campaigns_import_upload": (frozenset({O}), frozenset({O})),
    "campaigns_import_map": (frozenset({O}), frozenset({O})),
    "campaigns_import_progress": (frozenset({O}), NOT),
    "campaigns_import_problems": (frozenset({O}), NOT),
    "campaigns_import_take_in": (NOT, frozenset({O})),
    "campaigns_import_cancel": (NOT, frozenset({O})),
    "campaigns_import_resume": (NOT, frozenset({O})),
    "delivery_campaign_dry_run": (ALL, NOT),
    "delivery_delivery_uncertain": (ALL, NOT),
    "delivery_piece_preview": (ALL, NOT),
    "delivery_piece_settle": (frozenset({S}), frozenset({S})),
    "delivery_piece_send_again": (frozenset({S}), frozenset({S})),
    "delivery_run_refresh": (frozenset({W, S, O}), frozenset({W, S, O})),
    "delivery_run_export": (frozenset({S}), frozenset({S})),
    "delivery_run_ads": (ALL, NOT),
    "delivery_export_file": (frozenset({S}), NOT),
    "core_apikey_revoke": (frozenset({O}), frozenset({O})),
    "delivery_webhookendpoint_edit": (frozenset({O}), frozenset({O})),
    "delivery_webhookendpoint_rotate": (frozenset({O}), frozenset({O})),
    "delivery_webhookendpoint_test": (frozenset({O}), frozenset({O})),
    "delivery_webhookendpoint_replay": (frozenset({O}), frozenset({O})),
    "delivery_webhookendpoint_toggle": (frozenset({O}), frozenset({O})),
    "delivery_webhookmessage_again": (frozenset({O}), frozenset({O})),
    "delivery_webhookendpoint_remove": (frozenset({O}), frozenset({O})),
}

# Django's own pages: who may open the list, who may open the form to add, who may save a change.
LISTS: dict[str, tuple[frozenset[str], frozenset[str], frozenset[str]]] = {
    "generation_piece": (ALL, frozenset(), frozenset()),
    "generation_sampleplan": (ALL, frozenset(), frozenset()),
    "generation_modelversion": (ALL, frozenset(), frozenset()),
    "generation_pieceevent": (frozenset({L}), frozenset(), frozenset()),
    "generation_plant": (frozenset({L}), frozenset(), frozenset()),
    "campaigns_campaign": (ALL, frozenset({W}), frozenset({W})),
    "campaigns_run": (ALL, frozenset(), frozenset()),
    "campaigns_brand": (ALL, frozenset({W}), frozenset({W})),
    "campaigns_segment": (ALL, frozenset({W}), frozenset({W})),
    "campaigns_sendingrules": (ALL, frozenset(), frozenset({S})),
    "campaigns_profile": (ALL, frozenset(), frozenset()),
    "campaigns_product": (ALL, frozenset({O}), frozenset({O})),
    "campaigns_traitrule": (ALL, frozenset({W, O}), frozenset({W, O})),
    "campaigns_trackedmessage": (frozenset({O}), frozenset(), frozenset()),
    "campaigns_attributedefinition": (ALL, frozenset({O}), frozenset({O})),
    "campaigns_suppression": (frozenset({S, O}), frozenset({O}), frozenset()),
    "campaigns_purpose": (frozenset({O}), frozenset({O}), frozenset({O})),
    "campaigns_erasure": (frozenset({O}), frozenset(), frozenset()),
    "campaigns_retentionrule": (frozenset({O}), frozenset(), frozenset()),
    "campaigns_import": (frozenset({O}), frozenset({O}), frozenset()),
    "delivery_delivery": (ALL, frozenset(), frozenset()),
    "delivery_webhookendpoint": (frozenset({O}), frozenset({O}), frozenset()),
    "delivery_webhookmessage": (frozenset({O}), frozenset(), frozenset()),
    "delivery_reporttally": (frozenset({S, O}), frozenset(), frozenset()),
    "core_apikey": (frozenset({O}), frozenset({O}), frozenset()),
    "auth_user": (frozenset({O}), frozenset(), frozenset()),
    "auth_group": (frozenset({O}), frozenset(), frozenset()),
}

ClientOf = Callable[[str], Client]


def test_every_page_of_ours_has_its_row() -> None:
    assert addresses.own() == set(MAY)


@pytest.mark.parametrize("role", [*ROLES, "nobody"])
def test_pages_of_ours(role: str, client_of: ClientOf, world: SimpleNamespace) -> None:
    """403 for whoever may not, 405 where the method does nothing; else the page, a redirect or what it lacks."""
    client = client_of(role)
    arguments = dict(addresses.named())
    wrong = []
    for name, (getting, posting) in MAY.items():
        url = addresses.address(name, arguments[name], world)
        for method, allowed in (("get", getting), ("post", posting)):
            status = getattr(client, method)(url).status_code
            if allowed is None:
                fine = status == 405 or (status == 403 and role == "nobody")
            elif role in allowed:
                fine = status in (200, 302, 400, 404, 409)
            else:
                fine = status == 403
            if not fine:
                wrong.append(f"{method} {name}: {status}")
    assert wrong == []


@pytest.mark.parametrize("role", [*ROLES, "nobody"])
def test_lists_and_forms(role: str, client_of: ClientOf, world: SimpleNamespace) -> None:
    client = client_of(role)
    wrong = []
    for model, (viewing, adding, changing) in LISTS.items():
        row = addresses.address(f"{model}_change", ["object_id"], world)
        checks = (
            ("get", addresses.address(f"{model}_changelist", [], world), viewing),
            ("get", row, viewing),
            ("get", addresses.address(f"{model}_add", [], world), adding),
            ("post", row, changing),
        )
        for method, url, allowed in checks:
            status = getattr(client, method)(url).status_code
            denied = (403, 405) if method == "post" else (403,)
            if (status in (200, 302)) != (role in allowed) or (role not in allowed and status not in denied):
                wrong.append(f"{method} {url}: {status}")
    assert wrong == []


def test_nobody_gets_in_without_signing_in(world: SimpleNamespace) -> None:
    client = Client()
    for name, arguments in addresses.named():
        if name in ("login", "logout", "jsi18n"):
            continue
        response = client.get(addresses.address(name, arguments, world))
        assert response.status_code == 302 and "/login/" in response["Location"], name


def test_the_first_page_is_for_every_role(client_of: ClientOf, world: SimpleNamespace) -> None:
    for role in (*ROLES, "nobody", "superuser"):
        assert client_of(role).get("/admin/").status_code == 200
    assert "no group gives you a page yet" in client_of("nobody").get("/admin/").content.decode()


def test_roles_can_be_set_up_again(roles: dict[str, User]) -> None:
    writer = roles["Writers"]
    writer.groups.get().permissions.clear()
    call_command("setup_roles", verbosity=0)
    again = User.objects.get(pk=writer.pk)
    assert again.has_perm("generation.edit_piece") and not again.has_perm("generation.review_piece")
    assert again.groups.count() == 1


def test_an_operator_cannot_rise(client_of: ClientOf, roles: dict[str, User]) -> None:
    """A key that acts as somebody else, or another's password, would lend an operator their rights."""
    client = client_of("Operators")
    form = {"name": "mine", "scopes": ["pieces:review"], "acts_as": roles["superuser"].pk}
    assert "The key, once" not in client.post("/admin/core/apikey/add/", form).content.decode()
    form["acts_as"] = roles["Operators"].pk
    assert "The key, once" in client.post("/admin/core/apikey/add/", form).content.decode()
    assert client.get(f"/admin/auth/user/{roles['superuser'].pk}/password/").status_code == 403


def test_row_limits_hold(client_of: ClientOf, world: SimpleNamespace) -> None:
    """Each page loads its row through get_queryset: an id that is not there is 404, not a crash."""
    client = client_of("superuser")
    for url in (
        "/admin/generation/piece/999999/approve/",
        "/admin/generation/piece/999999/edit/",
        "/admin/campaigns/run/999999/pause/",
        "/admin/campaigns/campaign/999999/start/",
        "/admin/campaigns/run/launch/999999/",
        "/admin/delivery/delivery/settle/999999/",
    ):
        assert client.post(url).status_code == 404, url
    assert Piece.objects.filter(status=Status.IN_REVIEW).count() == 1
