"""The one state of each recipient, derived (architecture rule 3)."""

from django.db import migrations

VIEW = """
CREATE VIEW delivery_state WITH (security_invoker = true) AS
SELECT d.id AS delivery_id, d.campaign_id, d.organization_id, d.seq, d.skip_reason,
       CASE
         WHEN d.skip_reason = 'suppressed' THEN 'suppressed'
         WHEN d.skip_reason <> '' THEN 'skipped'
         WHEN o.state IN ('accepted', 'rejected', 'in_doubt', 'suppressed', 'skipped', 'cancelled', 'render_failed')
           THEN o.state
         WHEN c.state = 'stopped' THEN 'cancelled'
         WHEN o.state IS NOT NULL THEN o.state
         ELSE 'planned'
       END AS state,
       o.id AS outcome_id, o.attempt, o.relay, o.at, o.code, o.enhanced, o.reply, o.queue_id, o.bounce_class
FROM campaigns_delivery d
JOIN campaigns_campaign c ON c.id = d.campaign_id
LEFT JOIN LATERAL (
  SELECT * FROM campaigns_outcome latest WHERE latest.delivery_id = d.id ORDER BY latest.id DESC LIMIT 1
) o ON true;
"""


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0002_evidence_only_grows")]

    operations = [migrations.RunSQL(VIEW, "DROP VIEW delivery_state;")]
