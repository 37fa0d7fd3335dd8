"""The audit trail as a chain that the database guards, and planted pieces that it never lets be approved."""

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# Rows are inserted open, sealed once, and otherwise left alone; a seal is never changed at all.
GUARD = """
CREATE FUNCTION generation_audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    chain constant text[] := '{seq,previous_hash,hash,note_digest,note_salt}';
    words constant text[] := '{note,note_salt}';
BEGIN
    IF TG_OP = 'INSERT' THEN
        RAISE EXCEPTION 'A row of the audit trail is sealed after it was written, not with it.'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF OLD.seq IS NULL AND NEW.seq IS NOT NULL AND to_jsonb(NEW) - chain = to_jsonb(OLD) - chain THEN
            RETURN NEW;
        END IF;
        -- Deeper than the first trigger: from generation_audit_forget alone, never from a statement by hand.
        IF pg_trigger_depth() > 1 AND NEW.note = '' AND NEW.note_salt = ''
           AND to_jsonb(NEW) - words = to_jsonb(OLD) - words THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'Rows of the audit trail are neither changed nor deleted.'
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION generation_audit_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'Seals of the audit trail are neither changed nor deleted.'
        USING ERRCODE = 'insufficient_privilege';
END $$;

-- A piece is deleted only when its reader is erased: what people wrote about it goes with it.
CREATE FUNCTION generation_audit_forget() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE generation_pieceevent SET note = '', note_salt = '' WHERE piece_id = OLD.id AND note <> '';
    RETURN NULL;
END $$;

CREATE TRIGGER audit_no_forged_row BEFORE INSERT ON generation_pieceevent
    FOR EACH ROW WHEN (NEW.seq IS NOT NULL) EXECUTE FUNCTION generation_audit_guard();
CREATE TRIGGER audit_guard BEFORE UPDATE OR DELETE ON generation_pieceevent
    FOR EACH ROW EXECUTE FUNCTION generation_audit_guard();
CREATE TRIGGER audit_seal_fixed BEFORE UPDATE OR DELETE ON generation_auditseal
    FOR EACH ROW EXECUTE FUNCTION generation_audit_fixed();
CREATE TRIGGER audit_forget AFTER DELETE ON generation_piece
    FOR EACH ROW EXECUTE FUNCTION generation_audit_forget();
"""
UNGUARD = """
DROP TRIGGER audit_forget ON generation_piece;
DROP TRIGGER audit_seal_fixed ON generation_auditseal;
DROP TRIGGER audit_guard ON generation_pieceevent;
DROP TRIGGER audit_no_forged_row ON generation_pieceevent;
DROP FUNCTION generation_audit_forget();
DROP FUNCTION generation_audit_fixed();
DROP FUNCTION generation_audit_guard();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('campaigns', '0003_address_hashes_and_import_counts'),
        ('generation', '0004_version_constraints'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='AuditSeal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('seq', models.BigIntegerField(unique=True)),
                ('hash', models.CharField(max_length=64)),
                ('signature', models.CharField(max_length=64)),
                ('at', models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name='Plant',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('piece_id', models.BigIntegerField(unique=True)),
                ('fault', models.CharField(choices=[('negated', 'A sentence says the opposite of what is so'), ('promise', 'A sentence promises what no fact of the campaign says'), ('creepy', 'A sentence tells the reader they are being watched'), ('senseless', 'A sentence has its words out of order'), ('reader', 'The text was written for another reader')], max_length=10)),
                ('field', models.CharField(max_length=20)),
                ('index', models.PositiveSmallIntegerField(default=0)),
                ('start', models.PositiveIntegerField(default=0)),
                ('end', models.PositiveIntegerField(default=0)),
                ('planted_at', models.DateTimeField(auto_now_add=True)),
                ('outcome', models.CharField(choices=[('open', 'Not decided yet'), ('caught', 'Caught'), ('missed', 'Let through'), ('void', 'Not counted')], default='open', max_length=6)),
                ('how', models.CharField(blank=True, choices=[('read', 'Decided by itself'), ('together', 'Decided together with others')], max_length=8)),
                ('decided_at', models.DateTimeField(blank=True, null=True)),
                ('decided_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('planted_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='plants', to='campaigns.run')),
            ],
            options={
                'verbose_name': 'planted piece',
                'permissions': [('plant_piece', 'Can plant known-bad pieces among those to be reviewed')],
                'indexes': [models.Index(fields=['run', 'outcome'], name='plant_run_outcome')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('decided_at__isnull', True), ('decided_by__isnull', True)), models.Q(('decided_at__isnull', False), ('decided_by__isnull', False)), _connector='OR'), name='plant_decision_paired')],
            },
        ),
        migrations.CreateModel(
            name='PlantingRate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('percent', models.PositiveSmallIntegerField(validators=[django.core.validators.MaxValueValidator(20)])),
                ('set_at', models.DateTimeField(auto_now=True)),
                ('campaign', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='planting', to='campaigns.campaign')),
                ('set_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('percent__gte', 0), ('percent__lte', 20)), name='planting_rate_small')],
            },
        ),
        migrations.AlterModelOptions(
            name='pieceevent',
            options={'permissions': [('export_pieceevent', 'Can export and verify the audit trail')], 'verbose_name': 'audit row', 'verbose_name_plural': 'audit trail'},
        ),
        migrations.AddField(
            model_name='pieceevent',
            name='campaign',
            field=models.CharField(blank=True, db_default='', max_length=80),
        ),
        migrations.AddField(
            model_name='pieceevent',
            name='channel',
            field=models.CharField(blank=True, db_default='', max_length=20),
        ),
        migrations.AddField(
            model_name='pieceevent',
            name='seconds',
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='pieceevent',
            name='is_hasty',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name='pieceevent',
            name='seq',
            field=models.BigIntegerField(editable=False, null=True, unique=True),
        ),
        migrations.AddField(
            model_name='pieceevent',
            name='previous_hash',
            field=models.CharField(blank=True, db_default='', editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name='pieceevent',
            name='hash',
            field=models.CharField(blank=True, db_default='', editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name='pieceevent',
            name='note_digest',
            field=models.CharField(blank=True, db_default='', editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name='pieceevent',
            name='note_salt',
            field=models.CharField(blank=True, db_default='', editable=False, max_length=32),
        ),
        migrations.AddIndex(
            model_name='pieceevent',
            index=models.Index(condition=models.Q(('seq__isnull', True)), fields=['id'], name='event_unsealed'),
        ),
        migrations.AddIndex(
            model_name='pieceevent',
            index=models.Index(condition=models.Q(('actor_id__isnull', False)), fields=['at'], name='event_decided'),
        ),
        migrations.AddField(
            model_name='piece',
            name='planted',
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.RemoveConstraint(
            model_name='piece',
            name='piece_once_per_run_profile_channel',
        ),
        migrations.AddConstraint(
            model_name='piece',
            constraint=models.UniqueConstraint(condition=models.Q(('planted', False)), fields=('run', 'profile', 'channel'), name='piece_once_per_run_profile_channel', nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name='piece',
            constraint=models.CheckConstraint(condition=models.Q(('planted', False), ('status__in', ('in_review', 'withdrawn')), _connector='OR'), name='piece_planted_never_approved'),
        ),
        # Counting the real pieces of a run stays a matter of the index alone.
        migrations.RemoveIndex(
            model_name='piece',
            name='piece_run_status',
        ),
        migrations.AddIndex(
            model_name='piece',
            index=models.Index(fields=['run', 'status'], include=('planted',), name='piece_run_status'),
        ),
        migrations.RunSQL(GUARD, UNGUARD),
    ]
