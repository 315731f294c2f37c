-- People, groups, tokens; instances, databases, catalogs, tags; policy.

create table installation (
  is_only boolean primary key default true,
  id uuid not null default gen_random_uuid(),
  created_at timestamptz not null default now(),
  constraint installation_is_one_row check (is_only)
);
comment on table installation is 'What marks everything this Daypass makes on targets; one row';
insert into installation default values;

create function deny_change() returns trigger language plpgsql as $$
begin
  raise exception 'a row of % is never changed or removed', tg_table_name
    using errcode = 'integrity_constraint_violation', constraint = tg_name;
end $$;
comment on function deny_change() is 'Trigger that refuses every update and delete';

create function deny_column_change() returns trigger language plpgsql as $$
declare
  column_name text;
begin
  foreach column_name in array tg_argv loop
    if to_jsonb(old) -> column_name is distinct from to_jsonb(new) -> column_name then
      raise exception 'column %.% is never changed', tg_table_name, column_name
        using errcode = 'integrity_constraint_violation', constraint = tg_name;
    end if;
  end loop;
  return new;
end $$;
comment on function deny_column_change() is 'Trigger that refuses updates of the columns it is given';

create function remember_state() returns trigger language plpgsql as $$
begin
  new.previous_state := old.state;
  return new;
end $$;
comment on function remember_state() is
  'Keeps the state a row comes from, so that a foreign key can refuse illegal transitions';

create table principal (
  id bigint generated always as identity primary key,
  kind text not null,
  email text not null,
  name text not null,
  manager_id bigint references principal (id),
  owner_id bigint references principal (id),
  attributes jsonb not null default '{}',
  roles text[] not null default '{member}',
  active boolean not null default true,
  scram_salt bytea not null,
  scram_iterations integer not null,
  revision integer not null default 1,
  created_at timestamptz not null default now(),
  left_at timestamptz,
  constraint principal_kind_known check (kind in ('person', 'service_account')),
  constraint principal_roles_known check (
    roles <@ array['admin', 'policy_editor', 'database_owner', 'auditor', 'member']
  ),
  constraint principal_email_lower check (email = lower(email) and email <> ''),
  constraint principal_service_account_owned check ((kind = 'service_account') = (owner_id is not null)),
  constraint principal_attributes_object check (jsonb_typeof(attributes) = 'object'),
  constraint principal_salt_length check (octet_length(scram_salt) >= 16)
);
create unique index principal_email_unique on principal (email);
create trigger principal_immutable before update on principal for each row
  execute function deny_column_change('id', 'kind', 'created_at', 'scram_salt', 'scram_iterations');
create trigger principal_kept before delete on principal for each row execute function deny_change();
comment on table principal is 'People and service accounts; they leave, they are never deleted';
comment on column principal.scram_salt is
  'Shared by all access tokens of a principal, so that one proof can be tried against each';

create table people_group (
  id bigint generated always as identity primary key,
  name text not null,
  created_at timestamptz not null default now(),
  constraint people_group_name_form check (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  constraint people_group_name_unique unique (name)
);
comment on table people_group is 'Groups that policy and ownership name';

create table membership (
  group_id bigint not null references people_group (id),
  principal_id bigint not null references principal (id),
  since timestamptz not null default now(),
  primary key (group_id, principal_id)
);
create index membership_principal on membership (principal_id);
comment on table membership is 'Who is in which group now';

create table password (
  principal_id bigint primary key references principal (id),
  verifier text not null,
  changed_at timestamptz not null default now(),
  constraint password_is_argon2id check (verifier like '$argon2id$%')
);
comment on table password is 'Verifiers of local passwords';

create table password_link (
  principal_id bigint primary key references principal (id),
  digest bytea not null,
  issued_by bigint not null references principal (id),
  expires_at timestamptz not null,
  used_at timestamptz,
  constraint password_link_digest_unique unique (digest)
);
comment on table password_link is 'One-time links by which people choose their password themselves';

create table login_failure (
  subject bytea primary key,
  failures integer not null,
  last_failure_at timestamptz not null,
  constraint login_failure_is_a_digest check (octet_length(subject) = 32)
);
create index login_failure_age on login_failure (last_failure_at);
comment on table login_failure is
  'Failed logins that slow further ones, by digests of address and person, together and alone';

create table login (
  id bigint generated always as identity primary key,
  principal_id bigint not null references principal (id),
  cookie_digest bytea not null,
  csrf_digest bytea not null,
  address text not null default '',
  application text not null default '',
  created_at timestamptz not null default now(),
  last_used_at timestamptz not null default now(),
  expires_at timestamptz not null,
  ended_at timestamptz,
  constraint login_cookie_unique unique (cookie_digest)
);
create index login_principal on login (principal_id);
comment on table login is 'Being signed in to Daypass with a browser; only digests are kept';

create table access_token (
  id bigint generated always as identity primary key,
  principal_id bigint not null references principal (id),
  name text not null,
  digest bytea not null,
  scram_stored_key bytea not null,
  scram_server_key bytea not null,
  capabilities text[] not null,
  created_by bigint not null references principal (id),
  issued_with bigint references access_token (id),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  last_used_at timestamptz,
  revoked_at timestamptz,
  constraint access_token_digest_unique unique (digest),
  constraint access_token_capabilities_known check (
    capabilities <@ array['read', 'request', 'connect', 'approve', 'manage'] and capabilities <> '{}'
  ),
  constraint access_token_ends check (expires_at > created_at)
);
create index access_token_principal on access_token (principal_id);
create trigger access_token_immutable before update on access_token for each row
  execute function deny_column_change(
    'id', 'principal_id', 'digest', 'scram_stored_key', 'scram_server_key', 'capabilities',
    'created_by', 'issued_with', 'created_at', 'expires_at'
  );
comment on column access_token.issued_with is
  'The access token it was issued with, if any: revoking that one revokes this one too';
comment on table access_token is 'Access tokens as verifiers; the clear token is shown once';

create table first_admin_link (
  is_only boolean primary key default true,
  digest bytea not null,
  expires_at timestamptz not null,
  used_at timestamptz,
  constraint first_admin_link_is_one_row check (is_only)
);
comment on table first_admin_link is 'The one-time link that makes the first admin';

create table delegation (
  id bigint generated always as identity primary key,
  from_id bigint not null references principal (id),
  to_id bigint not null references principal (id),
  starts_at timestamptz not null default now(),
  ends_at timestamptz not null,
  reason text not null default '',
  ended_at timestamptz,
  created_at timestamptz not null default now(),
  constraint delegation_to_somebody_else check (from_id <> to_id),
  constraint delegation_ends_after_start check (ends_at > starts_at)
);
create index delegation_to on delegation (to_id);
comment on table delegation is 'Who decides in whose place while they are away';

create table instance (
  id bigint generated always as identity primary key,
  name text not null,
  engine text not null,
  host text not null,
  port integer not null,
  admin_user text not null,
  admin_secret text not null,
  admin_database text not null default '',
  tls_mode text not null default 'prefer',
  labels jsonb not null default '{}',
  options jsonb not null default '{}',
  state text not null default 'active',
  yielded_until timestamptz,
  yield_notice_until timestamptz,
  last_contact_at timestamptz,
  last_error text not null default '',
  revision integer not null default 1,
  created_at timestamptz not null default now(),
  constraint instance_name_form check (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  constraint instance_state_known check (state in ('active', 'removed')),
  constraint instance_port_range check (port between 0 and 65535),
  constraint instance_yields_after_notice check (
    (yielded_until is null) = (yield_notice_until is null) and yield_notice_until <= yielded_until
  )
);
create unique index instance_name_unique on instance (name) where state = 'active';
comment on table instance is 'Database servers Daypass manages';
comment on column instance.yielded_until is
  'Until then nothing opens: Daypass steps aside for a migration, its sessions end after the notice';
comment on column instance.admin_secret is 'A secret reference (env:…, file:…, sealed:…), never clear';

create table database (
  id bigint generated always as identity primary key,
  instance_id bigint not null references instance (id),
  name text not null,
  labels jsonb not null default '{}',
  catalog_version integer,
  facts_revision integer not null default 1,
  synced_at timestamptz,
  sync_error text not null default '',
  state text not null default 'active',
  created_at timestamptz not null default now(),
  constraint database_state_known check (state in ('active', 'removed'))
);
create unique index database_name_unique on database (instance_id, name) where state = 'active';
comment on table database is 'Databases of instances, with the labels policy reads';
comment on column database.facts_revision is
  'Raised by every change of what a scope rests on: catalog, tags, labels, owners, acceptances';

create table database_owner (
  database_id bigint not null references database (id),
  group_id bigint not null references people_group (id),
  primary key (database_id, group_id)
);
comment on table database_owner is 'Groups that own a database';

create table catalog (
  database_id bigint not null references database (id),
  version integer not null,
  content jsonb not null,
  digest text not null,
  read_at timestamptz not null default now(),
  primary key (database_id, version)
);
create trigger catalog_kept before update on catalog for each row execute function deny_change();
comment on table catalog is 'Versions of what Daypass knows of a database';
alter table database add constraint database_catalog_exists
  foreign key (id, catalog_version) references catalog (database_id, version)
  deferrable initially deferred;

create table relation_tag (
  database_id bigint not null references database (id),
  schema_name text not null,
  relation_name text not null,
  tag text not null,
  primary key (database_id, schema_name, relation_name, tag),
  constraint relation_tag_form check (tag ~ '^[a-z0-9][a-z0-9._-]{0,62}$')
);
comment on table relation_tag is 'Confirmed classification of relations';

create table column_tag (
  database_id bigint not null references database (id),
  schema_name text not null,
  relation_name text not null,
  column_name text not null,
  tag text not null,
  primary key (database_id, schema_name, relation_name, column_name, tag),
  constraint column_tag_form check (tag ~ '^[a-z0-9][a-z0-9._-]{0,62}$')
);
comment on table column_tag is 'Confirmed classification of columns';

create table classified_column (
  database_id bigint not null references database (id),
  schema_name text not null,
  relation_name text not null,
  column_name text not null,
  primary key (database_id, schema_name, relation_name, column_name)
);
comment on table classified_column is 'Columns somebody has looked at, tagged or not';

create table tag_suggestion (
  id bigint generated always as identity primary key,
  database_id bigint not null references database (id),
  schema_name text not null,
  relation_name text not null,
  column_name text not null,
  tag text not null,
  confidence real not null,
  why text not null,
  state text not null default 'proposed',
  decided_by bigint references principal (id),
  decided_at timestamptz,
  created_at timestamptz not null default now(),
  constraint tag_suggestion_unique unique (database_id, schema_name, relation_name, column_name, tag),
  constraint tag_suggestion_state_known check (state in ('proposed', 'accepted', 'dismissed')),
  constraint tag_suggestion_decided_by_a_person check ((state = 'proposed') = (decided_by is null))
);
comment on table tag_suggestion is 'Tags that names and values suggest; never applied without a yes';

create table accepted_exposure (
  database_id bigint not null references database (id),
  key text not null,
  reason text not null,
  accepted_by bigint not null references principal (id),
  accepted_at timestamptz not null default now(),
  primary key (database_id, key),
  constraint accepted_exposure_says_why check (reason <> '')
);
comment on table accepted_exposure is 'Exposures an owner accepted by name';

create table policy_version (
  version integer generated always as identity primary key,
  files jsonb not null,
  digest text not null,
  note text not null default '',
  rollback_of integer references policy_version (version),
  applied_by bigint references principal (id),
  applied_at timestamptz not null default now()
);
create trigger policy_version_kept before update or delete on policy_version for each row
  execute function deny_change();
comment on table policy_version is 'Every policy that was ever applied, whole';

create table policy_head (
  is_only boolean primary key default true,
  version integer references policy_version (version),
  constraint policy_head_is_one_row check (is_only)
);
insert into policy_head default values;
comment on table policy_head is 'The policy in force; its row lock orders decisions and changes';
