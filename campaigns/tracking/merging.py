"""What two ids of one person had from always-on campaigns, as one. For the transaction that joins them."""

from __future__ import annotations

from django.db import connection


def entries(*, old: int, new: int) -> None:
    """Whoever had an always-on campaign under the old id had it: it does not reach them a second time."""
    params = {"old": old, "new": new}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE campaigns_entry AS known
            SET times = known.times + was.times, started_at = greatest(known.started_at, was.started_at),
                event_at = greatest(known.event_at, was.event_at),
                waits_since = CASE WHEN was.started_at > coalesce(
                        known.waits_since - make_interval(days => campaign.reentry_days), '-infinity')
                    THEN NULL ELSE known.waits_since END
            FROM campaigns_entry AS was JOIN campaigns_campaign AS campaign ON campaign.id = was.campaign_id
            WHERE was.profile_id = %(old)s AND known.profile_id = %(new)s
                AND known.campaign_id = was.campaign_id
            """,
            params,
        )
        cursor.execute(
            """
            UPDATE campaigns_entry AS was SET profile_id = %(new)s WHERE profile_id = %(old)s AND NOT EXISTS (
                SELECT FROM campaigns_entry AS known
                WHERE known.profile_id = %(new)s AND known.campaign_id = was.campaign_id)
            """,
            params,
        )
        cursor.execute("DELETE FROM campaigns_entry WHERE profile_id = %(old)s", params)
