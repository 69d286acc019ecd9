"""The consent ledger chains itself, and refuses any change.

``subscribers.ledger.entry_hash`` computes the same hash in Python.
"""

from django.db import migrations, models

# One writer at a time, until its transaction ends: the chain has no two entries in one place. The
# function is volatile, so its query sees the rows that the same statement has inserted before. The
# head is asked too: where the last entries were removed, the next one must not close the gap.
CHAIN = """
create function consent_chain() returns trigger language plpgsql as $$
declare
    last record;
begin
    perform pg_advisory_xact_lock(hashtext('consent ledger'));
    select position, hash into last from (
        (select position, hash from subscribers_consentevent order by position desc limit 1)
        union all
        (select position, hash from subscribers_consenthead)
    ) newest order by position desc limit 1;
    new.position := coalesce(last.position, 0) + 1;
    new.previous_hash := coalesce(last.hash, repeat('0', 64));
    new.hash := encode(sha256(convert_to(jsonb_build_array(
        new.previous_hash, new.position, new.id, new.subscriber_id, new.identity_id, new.action,
        new.scope, new.source, new.message_id, new.by_id,
        (extract(epoch from new.at) * 1000000)::bigint, new.evidence_digest
    )::text, 'UTF8')), 'hex');
    return new;
end
$$;
create trigger consent_chain before insert on subscribers_consentevent
    for each row execute function consent_chain();

create function consent_head() returns trigger language plpgsql as $$
begin
    insert into subscribers_consenthead (id, position, hash)
    select 1, position, hash from subscribers_consentevent order by position desc limit 1
    on conflict (id) do update set position = excluded.position, hash = excluded.hash;
    return null;
end
$$;
create trigger consent_head after insert on subscribers_consentevent
    for each statement execute function consent_head();

create function consent_refuse() returns trigger language plpgsql as $$
begin
    raise exception 'The consent ledger is append-only: % is refused.', lower(tg_op);
end
$$;
create trigger consent_refuse_change before update or delete on subscribers_consentevent
    for each row execute function consent_refuse();
create trigger consent_refuse_truncate before truncate on subscribers_consentevent
    for each statement execute function consent_refuse();
"""

UNCHAIN = """
drop trigger consent_chain on subscribers_consentevent;
drop trigger consent_head on subscribers_consentevent;
drop trigger consent_refuse_change on subscribers_consentevent;
drop trigger consent_refuse_truncate on subscribers_consentevent;
drop function consent_chain();
drop function consent_head();
drop function consent_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("subscribers", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="ConsentHead",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("position", models.BigIntegerField(editable=False)),
                ("hash", models.CharField(editable=False, max_length=64)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("pk", 1)), name="consent_head_is_one_row"
                    )
                ]
            },
        ),
        migrations.RunSQL(CHAIN, UNCHAIN),
    ]
