create table journal (
  id uuid primary key,
  process_id uuid not null,
  host text not null,
  last_sequence bigint not null default 0,
  opened_at timestamptz not null default clock_timestamp(),
  shipped_at timestamptz,
  closed_at timestamptz,
  constraint journal_sequence_counts check (last_sequence >= 0)
);
create index journal_unclosed on journal (host) where closed_at is null;
create trigger journal_immutable before update on journal for each row
  execute function deny_column_change('id', 'process_id', 'host', 'opened_at');
create trigger journal_kept before delete on journal for each row execute function deny_change();
comment on table journal is 'Journals of gateways, and how far each is in the audit log';

create function journal_only_grows() returns trigger language plpgsql as $$
begin
  if new.last_sequence < old.last_sequence
    or (old.closed_at is not null and new is distinct from old) then
    raise exception 'a journal only grows, and not once it is closed'
      using errcode = 'integrity_constraint_violation', constraint = 'journal_only_grows';
  end if;
  return new;
end $$;
comment on function journal_only_grows() is 'Refuses to ship records of a journal twice';
create trigger journal_only_grows before update on journal for each row
  execute function journal_only_grows();

-- Without a foreign key: whoever inserts has the journal's row locked, and thousands of look-ups a
-- second would find nothing else. Constraints hold for what is new; there are no older journals.
alter table entry
  add column journal_id uuid,
  add column sequence bigint,
  add constraint entry_journaled_whole check ((journal_id is null) = (sequence is null)) not valid;
create unique index entry_journaled_once on entry (journal_id, sequence)
  where journal_id is not null;
comment on column entry.sequence is 'Which record of its journal it was; without gaps';
