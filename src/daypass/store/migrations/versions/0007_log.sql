create table log_waiting (
  entry_id bigint primary key
);
comment on table log_waiting is 'Entries that have no place in the log yet';

create function entry_waits() returns trigger language plpgsql as $$
begin
  insert into log_waiting (entry_id) select id from appended;
  return null;
end $$;
comment on function entry_waits() is 'Has every new entry wait for its place, in its own transaction';
create trigger entry_waits after insert on entry referencing new table as appended
  for each statement execute function entry_waits();

-- Making the trigger has locked out whoever appends until this is committed: none is missed, also
-- of a release before this one that runs on.
insert into log_waiting (entry_id) select id from entry;

-- Without a foreign key: no entry is ever deleted, and thousands of look-ups a second would find
-- nothing else.
create table log_place (
  index bigint primary key,
  entry_id bigint not null,
  hash bytea not null,
  constraint log_place_counts check (index >= 0),
  constraint log_place_hash_length check (length(hash) = 32),
  constraint log_place_once unique (entry_id)
);
create trigger log_place_kept before update or delete on log_place for each row
  execute function deny_change();
create trigger log_place_not_truncated before truncate on log_place for each statement
  execute function deny_change();
comment on table log_place is 'Which leaf of the Merkle tree an entry is, and its hash';

create table log_checkpoint (
  size bigint primary key,
  root bytea not null,
  note text not null,
  signed_at timestamptz not null default clock_timestamp(),
  constraint log_checkpoint_counts check (size >= 0),
  constraint log_checkpoint_root_length check (length(root) = 32)
);
create trigger log_checkpoint_kept before update or delete on log_checkpoint for each row
  execute function deny_change();
create trigger log_checkpoint_not_truncated before truncate on log_checkpoint for each statement
  execute function deny_change();
comment on table log_checkpoint is 'What was signed of the log, each before it was published';

create table subject_key (
  subject text primary key,
  key text,
  made_at timestamptz not null default clock_timestamp(),
  erased_at timestamptz,
  constraint subject_key_erased_when check ((key is null) = (erased_at is not null))
);
create trigger subject_key_immutable before update on subject_key for each row
  execute function deny_column_change('subject', 'made_at');
create trigger subject_key_kept before delete on subject_key for each row
  execute function deny_change();
comment on table subject_key is
  'Keys that seal what is personal in leaves, under the secret key; erasing one erases that';
