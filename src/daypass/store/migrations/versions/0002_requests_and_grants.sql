-- Requests, approvals, grants, sessions, receipts; the audit log; what goes out.

create table request_transition (
  from_state text not null,
  to_state text not null,
  primary key (from_state, to_state)
);
comment on table request_transition is 'Legal transitions of a request';
insert into request_transition values
  ('new', 'pending'), ('pending', 'approved'), ('pending', 'denied'),
  ('pending', 'withdrawn'), ('pending', 'expired');

create table grant_transition (
  from_state text not null,
  to_state text not null,
  primary key (from_state, to_state)
);
comment on table grant_transition is 'Legal transitions of a grant';
insert into grant_transition values
  ('new', 'scheduled'), ('new', 'active'), ('scheduled', 'active'), ('scheduled', 'revoking'),
  ('active', 'revoking'), ('revoking', 'revoked');

create table session_transition (
  from_state text not null,
  to_state text not null,
  primary key (from_state, to_state)
);
comment on table session_transition is 'Legal transitions of a session';
insert into session_transition values
  ('new', 'opening'), ('opening', 'open'), ('opening', 'closing'), ('open', 'closing'),
  ('closing', 'closed');

create table request (
  id bigint generated always as identity primary key,
  requester_id bigint not null references principal (id),
  database_id bigint not null references database (id),
  asked jsonb not null,
  profile text not null default '',
  duration interval not null,
  starts_at timestamptz,
  reason text not null default '',
  ticket text not null default '',
  direct_credentials boolean not null default false,
  break_glass boolean not null default false,
  extends_grant_id bigint,
  state text not null default 'pending',
  previous_state text not null default 'new',
  rule text,
  decision jsonb not null,
  round integer not null default 1,
  policy_version integer not null references policy_version (version),
  pending_until timestamptz not null,
  decided_by bigint references principal (id),
  decided_reason text not null default '',
  decided_at timestamptz,
  created_at timestamptz not null default now(),
  constraint request_transition_legal foreign key (previous_state, state)
    references request_transition (from_state, to_state),
  constraint request_duration_positive check (duration > interval '0'),
  constraint request_decided_when_ended check ((state = 'pending') = (decided_at is null)),
  constraint request_break_glass_by_rule check (not break_glass or rule is not null)
);
create index request_pending on request (pending_until) where state = 'pending';
create index request_requester on request (requester_id, id desc);
create index request_database on request (database_id, id desc);
create trigger request_state_kept before update of state on request for each row
  when (old.state is distinct from new.state) execute function remember_state();
create trigger request_immutable before update on request for each row
  execute function deny_column_change(
    'id', 'requester_id', 'database_id', 'asked', 'profile', 'duration', 'starts_at', 'reason',
    'ticket', 'direct_credentials', 'break_glass', 'extends_grant_id', 'created_at'
  );
create trigger request_kept before delete on request for each row execute function deny_change();
comment on table request is 'Asks for a scope on a database';
comment on column request.round is 'Raised when a policy change sets new steps; approvals carry theirs';

create table request_step (
  request_id bigint not null references request (id),
  round integer not null,
  position integer not null,
  approvers jsonb not null,
  needed integer not null,
  primary key (request_id, round, position),
  constraint request_step_needs_somebody check (needed > 0)
);
comment on table request_step is 'What must be approved, in order';

create table approval (
  id bigint generated always as identity primary key,
  request_id bigint not null references request (id),
  round integer not null,
  position integer not null,
  approver_id bigint not null references principal (id),
  on_behalf_of bigint references principal (id),
  verdict text not null,
  comment text not null default '',
  duration_limit interval,
  created_at timestamptz not null default now(),
  constraint approval_step_exists foreign key (request_id, round, position)
    references request_step (request_id, round, position),
  constraint approval_by_distinct_people unique (request_id, round, approver_id),
  constraint approval_delegated_once unique (request_id, round, on_behalf_of),
  constraint approval_verdict_known check (verdict in ('yes', 'no'))
);
create trigger approval_kept before update or delete on approval for each row
  execute function deny_change();
comment on table approval is 'One approver''s yes or no to one step';
comment on column approval.duration_limit is 'The approver allows no longer than this';

create function approval_not_by_requester() returns trigger language plpgsql as $$
begin
  if exists (
    select from request r join principal p on p.id = r.requester_id
    where r.id = new.request_id
      and (
        new.approver_id in (p.id, p.owner_id)
        or new.on_behalf_of in (p.id, p.owner_id)
      )
  ) then
    raise exception 'nobody approves their own request'
      using errcode = 'integrity_constraint_violation', constraint = 'approval_not_by_requester';
  end if;
  return new;
end $$;
comment on function approval_not_by_requester() is
  'Refuses approvals by the requester, or by whoever answers for a requesting service account';
create trigger approval_not_by_requester before insert on approval for each row
  execute function approval_not_by_requester();

create table access_grant (
  id bigint generated always as identity primary key,
  request_id bigint not null references request (id),
  principal_id bigint not null references principal (id),
  database_id bigint not null references database (id),
  asked jsonb not null,
  rule text,
  limits jsonb not null default '{}',
  direct_credentials boolean not null default false,
  break_glass boolean not null default false,
  review jsonb,
  scope_hash text,
  policy_version integer references policy_version (version),
  catalog_version integer,
  starts_at timestamptz not null,
  deadline timestamptz not null,
  state text not null,
  previous_state text not null default 'new',
  end_cause text,
  ended_by bigint references principal (id),
  end_reason text not null default '',
  ended_at timestamptz,
  revoke_attempts integer not null default 0,
  revoke_error text not null default '',
  revision integer not null default 1,
  created_at timestamptz not null default now(),
  constraint access_grant_request_unique unique (request_id),
  constraint access_grant_transition_legal foreign key (previous_state, state)
    references grant_transition (from_state, to_state),
  constraint access_grant_deadline_after_start check (deadline >= starts_at),
  constraint access_grant_end_known check (
    end_cause in (
      'deadline', 'released', 'revoked', 'principal_left', 'database_removed', 'out_of_policy'
    )
  ),
  constraint access_grant_end_says_why check (
    (state in ('revoking', 'revoked')) = (end_cause is not null and ended_at is not null)
  )
);
alter table request add constraint request_extends_a_grant
  foreign key (extends_grant_id) references access_grant (id);
create index access_grant_live on access_grant (deadline) where state in ('scheduled', 'active');
create index access_grant_starting on access_grant (starts_at) where state = 'scheduled';
create index access_grant_revoking on access_grant (id) where state = 'revoking';
create index access_grant_principal on access_grant (principal_id, database_id, id desc);
create index access_grant_scope on access_grant (database_id, scope_hash)
  where state in ('scheduled', 'active', 'revoking');
create trigger access_grant_state_kept before update of state on access_grant for each row
  when (old.state is distinct from new.state) execute function remember_state();
create trigger access_grant_immutable before update on access_grant for each row
  execute function deny_column_change(
    'id', 'request_id', 'principal_id', 'database_id', 'asked', 'direct_credentials', 'break_glass',
    'created_at'
  );
create trigger access_grant_kept before delete on access_grant for each row
  execute function deny_change();
comment on table access_grant is 'Approved requests with a deadline';

create table break_glass_review (
  grant_id bigint primary key references access_grant (id),
  reviewer_id bigint not null references principal (id),
  verdict text not null,
  comment text not null,
  created_at timestamptz not null default now(),
  constraint break_glass_review_verdict_known check (verdict in ('justified', 'not_justified')),
  constraint break_glass_review_says_why check (comment <> '')
);
create trigger break_glass_review_kept before update or delete on break_glass_review for each row
  execute function deny_change();
comment on table break_glass_review is 'Judgement of a break-glass grant by somebody else, afterwards';

create function review_not_by_principal() returns trigger language plpgsql as $$
begin
  if exists (
    select from access_grant g join principal p on p.id = g.principal_id
    where g.id = new.grant_id and new.reviewer_id in (p.id, p.owner_id)
  ) then
    raise exception 'nobody reviews their own break-glass grant'
      using errcode = 'integrity_constraint_violation', constraint = 'review_not_by_principal';
  end if;
  return new;
end $$;
comment on function review_not_by_principal() is 'Refuses reviews by whoever used the grant';
create trigger review_not_by_principal before insert on break_glass_review for each row
  execute function review_not_by_principal();

create table plan (
  database_id bigint not null references database (id),
  scope_hash text not null,
  scope jsonb not null,
  left_out jsonb not null default '[]',
  blocked jsonb not null default '[]',
  applied_at timestamptz,
  verified_at timestamptz,
  error text not null default '',
  created_at timestamptz not null default now(),
  primary key (database_id, scope_hash)
);
comment on table plan is 'Scopes that are, or are about to be, made on a database';

create table process (
  id uuid primary key,
  kind text not null,
  host text not null,
  pid integer not null,
  started_at timestamptz not null default now(),
  seen_at timestamptz not null default now()
);
comment on table process is 'Running processes of Daypass; sessions of one that is silent are ended';

create table session (
  id bigint generated always as identity primary key,
  grant_id bigint not null references access_grant (id),
  kind text not null,
  account text not null,
  scope_hash text not null,
  process_id uuid not null,
  state text not null default 'opening',
  previous_state text not null default 'new',
  backend_id integer,
  address text not null default '',
  application text not null default '',
  opened_at timestamptz not null default now(),
  closed_at timestamptz,
  close_reason text not null default '',
  constraint session_account_unique unique (account),
  constraint session_kind_known check (kind in ('query', 'gateway', 'direct')),
  constraint session_transition_legal foreign key (previous_state, state)
    references session_transition (from_state, to_state)
);
create index session_grant on session (grant_id);
create index session_unclosed on session (process_id) where state <> 'closed';
create unique index session_one_credential on session (grant_id)
  where kind = 'direct' and state in ('opening', 'open');
create trigger session_state_kept before update of state on session for each row
  when (old.state is distinct from new.state) execute function remember_state();
create trigger session_immutable before update on session for each row
  execute function deny_column_change('id', 'grant_id', 'kind', 'account', 'opened_at');
create trigger session_kept before delete on session for each row execute function deny_change();
comment on table session is 'Connections to targets opened under grants';

create table receipt (
  id bigint generated always as identity primary key,
  grant_id bigint not null references access_grant (id),
  due_at timestamptz not null,
  closed_at timestamptz not null,
  removed_at timestamptz not null,
  accounts text[] not null,
  terminated integer not null default 0,
  rolled_back integer not null default 0,
  dropped integer not null default 0,
  probes text[] not null,
  attempts integer not null,
  created_at timestamptz not null default now(),
  constraint receipt_grant_unique unique (grant_id)
);
create trigger receipt_kept before update or delete on receipt for each row
  execute function deny_change();
comment on table receipt is 'Proof of revocation: what was probed, found gone, and when';

create table entry (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  kind text not null,
  schema_version smallint not null default 1,
  actor_id bigint references principal (id),
  on_behalf_of bigint references principal (id),
  address text not null default '',
  application text not null default '',
  database_id bigint references database (id),
  request_id bigint references request (id),
  grant_id bigint references access_grant (id),
  session_id bigint references session (id),
  rule text,
  content jsonb not null,
  canonical text not null,
  digest bytea not null,
  constraint entry_digest_of_canonical check (digest = sha256(convert_to(canonical, 'UTF8')))
);
create index entry_request on entry (request_id);
create index entry_grant on entry (grant_id);
create index entry_actor on entry (actor_id, id);
create index entry_kind on entry (kind, id);
create trigger entry_kept before update or delete on entry for each row execute function deny_change();
create trigger entry_not_truncated before truncate on entry for each statement
  execute function deny_change();
comment on table entry is 'The audit log as stored: one row each, written with what it describes';

create table outbox (
  id bigint generated always as identity primary key,
  event text not null,
  recipient_id bigint references principal (id),
  channel text not null,
  payload jsonb not null,
  state text not null default 'waiting',
  attempts integer not null default 0,
  next_at timestamptz not null default now(),
  last_error text not null default '',
  created_at timestamptz not null default now(),
  delivered_at timestamptz,
  constraint outbox_channel_known check (channel in ('webhook', 'smtp')),
  constraint outbox_state_known check (state in ('waiting', 'delivered', 'given_up')),
  constraint outbox_delivered_when check ((state = 'delivered') = (delivered_at is not null))
);
create index outbox_waiting on outbox (next_at) where state = 'waiting';
comment on table outbox is 'Messages to people and programs, written with what they tell of';

create table idempotency_key (
  principal_id bigint not null references principal (id),
  key text not null,
  route text not null,
  body_digest bytea not null,
  status integer,
  response jsonb,
  created_at timestamptz not null default now(),
  primary key (principal_id, key),
  constraint idempotency_key_length check (length(key) between 1 and 200)
);
comment on table idempotency_key is 'Answers already given, so that a repeated request acts once';
