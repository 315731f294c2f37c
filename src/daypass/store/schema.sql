CREATE FUNCTION public.approval_not_by_requester() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.approval_not_by_requester() IS 'Refuses approvals by the requester, or by whoever answers for a requesting service account';

CREATE FUNCTION public.deny_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  raise exception 'a row of % is never changed or removed', tg_table_name
    using errcode = 'integrity_constraint_violation', constraint = tg_name;
end $$;

COMMENT ON FUNCTION public.deny_change() IS 'Trigger that refuses every update and delete';

CREATE FUNCTION public.deny_column_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.deny_column_change() IS 'Trigger that refuses updates of the columns it is given';

CREATE FUNCTION public.entry_waits() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  insert into log_waiting (entry_id) select id from appended;
  return null;
end $$;

COMMENT ON FUNCTION public.entry_waits() IS 'Has every new entry wait for its place, in its own transaction';

CREATE FUNCTION public.journal_only_grows() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  if new.last_sequence < old.last_sequence
    or (old.closed_at is not null and new is distinct from old) then
    raise exception 'a journal only grows, and not once it is closed'
      using errcode = 'integrity_constraint_violation', constraint = 'journal_only_grows';
  end if;
  return new;
end $$;

COMMENT ON FUNCTION public.journal_only_grows() IS 'Refuses to ship records of a journal twice';

CREATE FUNCTION public.remember_state() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  new.previous_state := old.state;
  return new;
end $$;

COMMENT ON FUNCTION public.remember_state() IS 'Keeps the state a row comes from, so that a foreign key can refuse illegal transitions';

CREATE FUNCTION public.review_not_by_principal() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.review_not_by_principal() IS 'Refuses reviews by whoever used the grant';

CREATE TABLE public.accepted_exposure (
    database_id bigint NOT NULL,
    key text NOT NULL,
    reason text NOT NULL,
    accepted_by bigint NOT NULL,
    accepted_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT accepted_exposure_says_why CHECK ((reason <> ''::text))
);

COMMENT ON TABLE public.accepted_exposure IS 'Exposures an owner accepted by name';

CREATE TABLE public.access_grant (
    id bigint NOT NULL,
    request_id bigint NOT NULL,
    principal_id bigint NOT NULL,
    database_id bigint NOT NULL,
    asked jsonb NOT NULL,
    rule text,
    limits jsonb DEFAULT '{}'::jsonb NOT NULL,
    direct_credentials boolean DEFAULT false NOT NULL,
    break_glass boolean DEFAULT false NOT NULL,
    review jsonb,
    scope_hash text,
    policy_version integer,
    catalog_version integer,
    starts_at timestamp with time zone NOT NULL,
    deadline timestamp with time zone NOT NULL,
    state text NOT NULL,
    previous_state text DEFAULT 'new'::text NOT NULL,
    end_cause text,
    ended_by bigint,
    end_reason text DEFAULT ''::text NOT NULL,
    ended_at timestamp with time zone,
    revoke_attempts integer DEFAULT 0 NOT NULL,
    revoke_error text DEFAULT ''::text NOT NULL,
    revision integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT access_grant_deadline_after_start CHECK ((deadline >= starts_at)),
    CONSTRAINT access_grant_end_known CHECK ((end_cause = ANY (ARRAY['deadline'::text, 'released'::text, 'revoked'::text, 'principal_left'::text, 'database_removed'::text, 'out_of_policy'::text]))),
    CONSTRAINT access_grant_end_says_why CHECK (((state = ANY (ARRAY['revoking'::text, 'revoked'::text])) = ((end_cause IS NOT NULL) AND (ended_at IS NOT NULL))))
);

COMMENT ON TABLE public.access_grant IS 'Approved requests with a deadline';

ALTER TABLE public.access_grant ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.access_grant_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.access_token (
    id bigint NOT NULL,
    principal_id bigint NOT NULL,
    name text NOT NULL,
    digest bytea NOT NULL,
    scram_stored_key bytea NOT NULL,
    scram_server_key bytea NOT NULL,
    capabilities text[] NOT NULL,
    created_by bigint NOT NULL,
    issued_with bigint,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    last_used_at timestamp with time zone,
    revoked_at timestamp with time zone,
    CONSTRAINT access_token_capabilities_known CHECK (((capabilities <@ ARRAY['read'::text, 'request'::text, 'connect'::text, 'approve'::text, 'manage'::text]) AND (capabilities <> '{}'::text[]))),
    CONSTRAINT access_token_ends CHECK ((expires_at > created_at))
);

COMMENT ON TABLE public.access_token IS 'Access tokens as verifiers; the clear token is shown once';

COMMENT ON COLUMN public.access_token.issued_with IS 'The access token it was issued with, if any: revoking that one revokes this one too';

ALTER TABLE public.access_token ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.access_token_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);

CREATE TABLE public.approval (
    id bigint NOT NULL,
    request_id bigint NOT NULL,
    round integer NOT NULL,
    "position" integer NOT NULL,
    approver_id bigint NOT NULL,
    on_behalf_of bigint,
    verdict text NOT NULL,
    comment text DEFAULT ''::text NOT NULL,
    duration_limit interval,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT approval_verdict_known CHECK ((verdict = ANY (ARRAY['yes'::text, 'no'::text])))
);

COMMENT ON TABLE public.approval IS 'One approver''s yes or no to one step';

COMMENT ON COLUMN public.approval.duration_limit IS 'The approver allows no longer than this';

ALTER TABLE public.approval ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.approval_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.break_glass_review (
    grant_id bigint NOT NULL,
    reviewer_id bigint NOT NULL,
    verdict text NOT NULL,
    comment text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT break_glass_review_says_why CHECK ((comment <> ''::text)),
    CONSTRAINT break_glass_review_verdict_known CHECK ((verdict = ANY (ARRAY['justified'::text, 'not_justified'::text])))
);

COMMENT ON TABLE public.break_glass_review IS 'Judgement of a break-glass grant by somebody else, afterwards';

CREATE TABLE public.catalog (
    database_id bigint NOT NULL,
    version integer NOT NULL,
    content jsonb NOT NULL,
    digest text NOT NULL,
    read_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.catalog IS 'Versions of what Daypass knows of a database';

CREATE TABLE public.classified_column (
    database_id bigint NOT NULL,
    schema_name text NOT NULL,
    relation_name text NOT NULL,
    column_name text NOT NULL
);

COMMENT ON TABLE public.classified_column IS 'Columns somebody has looked at, tagged or not';

CREATE TABLE public.column_tag (
    database_id bigint NOT NULL,
    schema_name text NOT NULL,
    relation_name text NOT NULL,
    column_name text NOT NULL,
    tag text NOT NULL,
    CONSTRAINT column_tag_form CHECK ((tag ~ '^[a-z0-9][a-z0-9._-]{0,62}$'::text))
);

COMMENT ON TABLE public.column_tag IS 'Confirmed classification of columns';

CREATE TABLE public.database (
    id bigint NOT NULL,
    instance_id bigint NOT NULL,
    name text NOT NULL,
    labels jsonb DEFAULT '{}'::jsonb NOT NULL,
    catalog_version integer,
    facts_revision integer DEFAULT 1 NOT NULL,
    synced_at timestamp with time zone,
    sync_error text DEFAULT ''::text NOT NULL,
    state text DEFAULT 'active'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT database_state_known CHECK ((state = ANY (ARRAY['active'::text, 'removed'::text])))
);

COMMENT ON TABLE public.database IS 'Databases of instances, with the labels policy reads';

COMMENT ON COLUMN public.database.facts_revision IS 'Raised by every change of what a scope rests on: catalog, tags, labels, owners, acceptances';

ALTER TABLE public.database ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.database_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.database_owner (
    database_id bigint NOT NULL,
    group_id bigint NOT NULL
);

COMMENT ON TABLE public.database_owner IS 'Groups that own a database';

CREATE TABLE public.delegation (
    id bigint NOT NULL,
    from_id bigint NOT NULL,
    to_id bigint NOT NULL,
    starts_at timestamp with time zone DEFAULT now() NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    ended_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT delegation_ends_after_start CHECK ((ends_at > starts_at)),
    CONSTRAINT delegation_to_somebody_else CHECK ((from_id <> to_id))
);

COMMENT ON TABLE public.delegation IS 'Who decides in whose place while they are away';

ALTER TABLE public.delegation ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.delegation_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.entry (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    kind text NOT NULL,
    schema_version smallint DEFAULT 1 NOT NULL,
    actor_id bigint,
    on_behalf_of bigint,
    address text DEFAULT ''::text NOT NULL,
    application text DEFAULT ''::text NOT NULL,
    database_id bigint,
    request_id bigint,
    grant_id bigint,
    session_id bigint,
    rule text,
    content jsonb NOT NULL,
    canonical text NOT NULL,
    digest bytea NOT NULL,
    journal_id uuid,
    sequence bigint,
    CONSTRAINT entry_digest_of_canonical CHECK ((digest = sha256(convert_to(canonical, 'UTF8'::name))))
);

COMMENT ON TABLE public.entry IS 'The audit log as stored: one row each, written with what it describes';

COMMENT ON COLUMN public.entry.sequence IS 'Which record of its journal it was; without gaps';

ALTER TABLE public.entry ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.entry_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.first_admin_link (
    is_only boolean DEFAULT true NOT NULL,
    digest bytea NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    CONSTRAINT first_admin_link_is_one_row CHECK (is_only)
);

COMMENT ON TABLE public.first_admin_link IS 'The one-time link that makes the first admin';

CREATE TABLE public.gateway (
    process_id uuid NOT NULL,
    engine text NOT NULL,
    host text NOT NULL,
    port integer NOT NULL,
    tls text NOT NULL,
    certificate text NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT gateway_port_possible CHECK (((port >= 1) AND (port <= 65535))),
    CONSTRAINT gateway_tls_known CHECK ((tls = ANY (ARRAY['required'::text, 'offered'::text, 'none'::text])))
);

COMMENT ON TABLE public.gateway IS 'Where gateways are and the certificate they show, while their process is alive';

CREATE TABLE public.grant_transition (
    from_state text NOT NULL,
    to_state text NOT NULL
);

COMMENT ON TABLE public.grant_transition IS 'Legal transitions of a grant';

CREATE TABLE public.idempotency_key (
    principal_id bigint NOT NULL,
    key text NOT NULL,
    route text NOT NULL,
    body_digest bytea NOT NULL,
    status integer,
    response jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT idempotency_key_length CHECK (((length(key) >= 1) AND (length(key) <= 200)))
);

COMMENT ON TABLE public.idempotency_key IS 'Answers already given, so that a repeated request acts once';

CREATE TABLE public.installation (
    is_only boolean DEFAULT true NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT installation_is_one_row CHECK (is_only)
);

COMMENT ON TABLE public.installation IS 'What marks everything this Daypass makes on targets; one row';

CREATE TABLE public.instance (
    id bigint NOT NULL,
    name text NOT NULL,
    engine text NOT NULL,
    host text NOT NULL,
    port integer NOT NULL,
    admin_user text NOT NULL,
    admin_secret text NOT NULL,
    admin_database text DEFAULT ''::text NOT NULL,
    tls_mode text DEFAULT 'prefer'::text NOT NULL,
    labels jsonb DEFAULT '{}'::jsonb NOT NULL,
    options jsonb DEFAULT '{}'::jsonb NOT NULL,
    state text DEFAULT 'active'::text NOT NULL,
    yielded_until timestamp with time zone,
    yield_notice_until timestamp with time zone,
    last_contact_at timestamp with time zone,
    last_error text DEFAULT ''::text NOT NULL,
    revision integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT instance_name_form CHECK ((name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'::text)),
    CONSTRAINT instance_port_range CHECK (((port >= 0) AND (port <= 65535))),
    CONSTRAINT instance_state_known CHECK ((state = ANY (ARRAY['active'::text, 'removed'::text]))),
    CONSTRAINT instance_yields_after_notice CHECK ((((yielded_until IS NULL) = (yield_notice_until IS NULL)) AND (yield_notice_until <= yielded_until)))
);

COMMENT ON TABLE public.instance IS 'Database servers Daypass manages';

COMMENT ON COLUMN public.instance.admin_secret IS 'A secret reference (env:…, file:…, sealed:…), never clear';

COMMENT ON COLUMN public.instance.yielded_until IS 'Until then nothing opens: Daypass steps aside for a migration, its sessions end after the notice';

ALTER TABLE public.instance ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.instance_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.journal (
    id uuid NOT NULL,
    process_id uuid NOT NULL,
    host text NOT NULL,
    last_sequence bigint DEFAULT 0 NOT NULL,
    opened_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    shipped_at timestamp with time zone,
    closed_at timestamp with time zone,
    CONSTRAINT journal_sequence_counts CHECK ((last_sequence >= 0))
);

COMMENT ON TABLE public.journal IS 'Journals of gateways, and how far each is in the audit log';

CREATE TABLE public.log_checkpoint (
    size bigint NOT NULL,
    root bytea NOT NULL,
    note text NOT NULL,
    signed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT log_checkpoint_counts CHECK ((size >= 0)),
    CONSTRAINT log_checkpoint_root_length CHECK ((length(root) = 32))
);

COMMENT ON TABLE public.log_checkpoint IS 'What was signed of the log, each before it was published';

CREATE TABLE public.log_place (
    index bigint NOT NULL,
    entry_id bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT log_place_counts CHECK ((index >= 0)),
    CONSTRAINT log_place_hash_length CHECK ((length(hash) = 32))
);

COMMENT ON TABLE public.log_place IS 'Which leaf of the Merkle tree an entry is, and its hash';

CREATE TABLE public.log_waiting (
    entry_id bigint NOT NULL
);

COMMENT ON TABLE public.log_waiting IS 'Entries that have no place in the log yet';

CREATE TABLE public.login (
    id bigint NOT NULL,
    principal_id bigint NOT NULL,
    cookie_digest bytea NOT NULL,
    csrf_digest bytea NOT NULL,
    address text DEFAULT ''::text NOT NULL,
    application text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_used_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone
);

COMMENT ON TABLE public.login IS 'Being signed in to Daypass with a browser; only digests are kept';

CREATE TABLE public.login_failure (
    subject bytea NOT NULL,
    failures integer NOT NULL,
    last_failure_at timestamp with time zone NOT NULL,
    CONSTRAINT login_failure_is_a_digest CHECK ((octet_length(subject) = 32))
);

COMMENT ON TABLE public.login_failure IS 'Failed logins that slow further ones, by digests of address and person, together and alone';

ALTER TABLE public.login ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.login_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.membership (
    group_id bigint NOT NULL,
    principal_id bigint NOT NULL,
    since timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.membership IS 'Who is in which group now';

CREATE TABLE public.outbox (
    id bigint NOT NULL,
    event text NOT NULL,
    recipient_id bigint,
    channel text NOT NULL,
    payload jsonb NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_at timestamp with time zone DEFAULT now() NOT NULL,
    last_error text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    delivered_at timestamp with time zone,
    CONSTRAINT outbox_channel_known CHECK ((channel = ANY (ARRAY['webhook'::text, 'smtp'::text]))),
    CONSTRAINT outbox_delivered_when CHECK (((state = 'delivered'::text) = (delivered_at IS NOT NULL))),
    CONSTRAINT outbox_state_known CHECK ((state = ANY (ARRAY['waiting'::text, 'delivered'::text, 'given_up'::text])))
);

COMMENT ON TABLE public.outbox IS 'Messages to people and programs, written with what they tell of';

ALTER TABLE public.outbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.password (
    principal_id bigint NOT NULL,
    verifier text NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT password_is_argon2id CHECK ((verifier ~~ '$argon2id$%'::text))
);

COMMENT ON TABLE public.password IS 'Verifiers of local passwords';

CREATE TABLE public.password_link (
    principal_id bigint NOT NULL,
    digest bytea NOT NULL,
    issued_by bigint NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone
);

COMMENT ON TABLE public.password_link IS 'One-time links by which people choose their password themselves';

CREATE TABLE public.people_group (
    id bigint NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT people_group_name_form CHECK ((name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'::text))
);

COMMENT ON TABLE public.people_group IS 'Groups that policy and ownership name';

ALTER TABLE public.people_group ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.people_group_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.plan (
    database_id bigint NOT NULL,
    scope_hash text NOT NULL,
    scope jsonb NOT NULL,
    left_out jsonb DEFAULT '[]'::jsonb NOT NULL,
    blocked jsonb DEFAULT '[]'::jsonb NOT NULL,
    applied_at timestamp with time zone,
    verified_at timestamp with time zone,
    error text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.plan IS 'Scopes that are, or are about to be, made on a database';

CREATE TABLE public.policy_head (
    is_only boolean DEFAULT true NOT NULL,
    version integer,
    CONSTRAINT policy_head_is_one_row CHECK (is_only)
);

COMMENT ON TABLE public.policy_head IS 'The policy in force; its row lock orders decisions and changes';

CREATE TABLE public.policy_version (
    version integer NOT NULL,
    files jsonb NOT NULL,
    digest text NOT NULL,
    note text DEFAULT ''::text NOT NULL,
    rollback_of integer,
    applied_by bigint,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.policy_version IS 'Every policy that was ever applied, whole';

ALTER TABLE public.policy_version ALTER COLUMN version ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.policy_version_version_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.principal (
    id bigint NOT NULL,
    kind text NOT NULL,
    email text NOT NULL,
    name text NOT NULL,
    manager_id bigint,
    owner_id bigint,
    attributes jsonb DEFAULT '{}'::jsonb NOT NULL,
    roles text[] DEFAULT '{member}'::text[] NOT NULL,
    active boolean DEFAULT true NOT NULL,
    scram_salt bytea NOT NULL,
    scram_iterations integer NOT NULL,
    revision integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    left_at timestamp with time zone,
    CONSTRAINT principal_attributes_object CHECK ((jsonb_typeof(attributes) = 'object'::text)),
    CONSTRAINT principal_email_lower CHECK (((email = lower(email)) AND (email <> ''::text))),
    CONSTRAINT principal_kind_known CHECK ((kind = ANY (ARRAY['person'::text, 'service_account'::text]))),
    CONSTRAINT principal_roles_known CHECK ((roles <@ ARRAY['admin'::text, 'policy_editor'::text, 'database_owner'::text, 'auditor'::text, 'member'::text])),
    CONSTRAINT principal_salt_length CHECK ((octet_length(scram_salt) >= 16)),
    CONSTRAINT principal_service_account_owned CHECK (((kind = 'service_account'::text) = (owner_id IS NOT NULL)))
);

COMMENT ON TABLE public.principal IS 'People and service accounts; they leave, they are never deleted';

COMMENT ON COLUMN public.principal.scram_salt IS 'Shared by all access tokens of a principal, so that one proof can be tried against each';

ALTER TABLE public.principal ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.principal_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.process (
    id uuid NOT NULL,
    kind text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.process IS 'Running processes of Daypass; sessions of one that is silent are ended';

CREATE TABLE public.receipt (
    id bigint NOT NULL,
    grant_id bigint NOT NULL,
    due_at timestamp with time zone NOT NULL,
    closed_at timestamp with time zone NOT NULL,
    removed_at timestamp with time zone NOT NULL,
    accounts text[] NOT NULL,
    terminated integer DEFAULT 0 NOT NULL,
    rolled_back integer DEFAULT 0 NOT NULL,
    dropped integer DEFAULT 0 NOT NULL,
    probes text[] NOT NULL,
    attempts integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.receipt IS 'Proof of revocation: what was probed, found gone, and when';

ALTER TABLE public.receipt ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.receipt_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.relation_tag (
    database_id bigint NOT NULL,
    schema_name text NOT NULL,
    relation_name text NOT NULL,
    tag text NOT NULL,
    CONSTRAINT relation_tag_form CHECK ((tag ~ '^[a-z0-9][a-z0-9._-]{0,62}$'::text))
);

COMMENT ON TABLE public.relation_tag IS 'Confirmed classification of relations';

CREATE TABLE public.request (
    id bigint NOT NULL,
    requester_id bigint NOT NULL,
    database_id bigint NOT NULL,
    asked jsonb NOT NULL,
    profile text DEFAULT ''::text NOT NULL,
    duration interval NOT NULL,
    starts_at timestamp with time zone,
    reason text DEFAULT ''::text NOT NULL,
    ticket text DEFAULT ''::text NOT NULL,
    direct_credentials boolean DEFAULT false NOT NULL,
    break_glass boolean DEFAULT false NOT NULL,
    extends_grant_id bigint,
    state text DEFAULT 'pending'::text NOT NULL,
    previous_state text DEFAULT 'new'::text NOT NULL,
    rule text,
    decision jsonb NOT NULL,
    round integer DEFAULT 1 NOT NULL,
    policy_version integer NOT NULL,
    pending_until timestamp with time zone NOT NULL,
    decided_by bigint,
    decided_reason text DEFAULT ''::text NOT NULL,
    decided_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT request_break_glass_by_rule CHECK (((NOT break_glass) OR (rule IS NOT NULL))),
    CONSTRAINT request_decided_when_ended CHECK (((state = 'pending'::text) = (decided_at IS NULL))),
    CONSTRAINT request_duration_positive CHECK ((duration > '00:00:00'::interval))
);

COMMENT ON TABLE public.request IS 'Asks for a scope on a database';

COMMENT ON COLUMN public.request.round IS 'Raised when a policy change sets new steps; approvals carry theirs';

ALTER TABLE public.request ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.request_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.request_step (
    request_id bigint NOT NULL,
    round integer NOT NULL,
    "position" integer NOT NULL,
    approvers jsonb NOT NULL,
    needed integer NOT NULL,
    CONSTRAINT request_step_needs_somebody CHECK ((needed > 0))
);

COMMENT ON TABLE public.request_step IS 'What must be approved, in order';

CREATE TABLE public.request_transition (
    from_state text NOT NULL,
    to_state text NOT NULL
);

COMMENT ON TABLE public.request_transition IS 'Legal transitions of a request';

CREATE TABLE public.session (
    id bigint NOT NULL,
    grant_id bigint NOT NULL,
    kind text NOT NULL,
    account text NOT NULL,
    scope_hash text NOT NULL,
    process_id uuid NOT NULL,
    state text DEFAULT 'opening'::text NOT NULL,
    previous_state text DEFAULT 'new'::text NOT NULL,
    backend_id integer,
    address text DEFAULT ''::text NOT NULL,
    application text DEFAULT ''::text NOT NULL,
    opened_at timestamp with time zone DEFAULT now() NOT NULL,
    closed_at timestamp with time zone,
    close_reason text DEFAULT ''::text NOT NULL,
    token_id bigint,
    CONSTRAINT session_kind_known CHECK ((kind = ANY (ARRAY['query'::text, 'gateway'::text, 'direct'::text])))
);

COMMENT ON TABLE public.session IS 'Connections to targets opened under grants';

COMMENT ON COLUMN public.session.token_id IS 'The access token it was opened with, if any: a session of a gateway ends when that is revoked';

CREATE UNLOGGED TABLE public.session_activity (
    session_id bigint NOT NULL,
    statement text NOT NULL,
    since timestamp with time zone NOT NULL,
    noted_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE public.session_activity IS 'Statements that run in sessions of a gateway, as of its latest look; gone with the session';

ALTER TABLE public.session ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.session_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.session_transition (
    from_state text NOT NULL,
    to_state text NOT NULL
);

COMMENT ON TABLE public.session_transition IS 'Legal transitions of a session';

CREATE TABLE public.subject_key (
    subject text NOT NULL,
    key text,
    made_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    erased_at timestamp with time zone,
    CONSTRAINT subject_key_erased_when CHECK (((key IS NULL) = (erased_at IS NOT NULL)))
);

COMMENT ON TABLE public.subject_key IS 'Keys that seal what is personal in leaves, under the secret key; erasing one erases that';

CREATE TABLE public.tag_suggestion (
    id bigint NOT NULL,
    database_id bigint NOT NULL,
    schema_name text NOT NULL,
    relation_name text NOT NULL,
    column_name text NOT NULL,
    tag text NOT NULL,
    confidence real NOT NULL,
    why text NOT NULL,
    state text DEFAULT 'proposed'::text NOT NULL,
    decided_by bigint,
    decided_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT tag_suggestion_decided_by_a_person CHECK (((state = 'proposed'::text) = (decided_by IS NULL))),
    CONSTRAINT tag_suggestion_state_known CHECK ((state = ANY (ARRAY['proposed'::text, 'accepted'::text, 'dismissed'::text])))
);

COMMENT ON TABLE public.tag_suggestion IS 'Tags that names and values suggest; never applied without a yes';

ALTER TABLE public.tag_suggestion ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.tag_suggestion_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY public.accepted_exposure
    ADD CONSTRAINT accepted_exposure_pkey PRIMARY KEY (database_id, key);

ALTER TABLE ONLY public.access_grant
    ADD CONSTRAINT access_grant_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.access_grant
    ADD CONSTRAINT access_grant_request_unique UNIQUE (request_id);

ALTER TABLE ONLY public.access_token
    ADD CONSTRAINT access_token_digest_unique UNIQUE (digest);

ALTER TABLE ONLY public.access_token
    ADD CONSTRAINT access_token_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY public.approval
    ADD CONSTRAINT approval_by_distinct_people UNIQUE (request_id, round, approver_id);

ALTER TABLE ONLY public.approval
    ADD CONSTRAINT approval_delegated_once UNIQUE (request_id, round, on_behalf_of);

ALTER TABLE ONLY public.approval
    ADD CONSTRAINT approval_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.break_glass_review
    ADD CONSTRAINT break_glass_review_pkey PRIMARY KEY (grant_id);

ALTER TABLE ONLY public.catalog
    ADD CONSTRAINT catalog_pkey PRIMARY KEY (database_id, version);

ALTER TABLE ONLY public.classified_column
    ADD CONSTRAINT classified_column_pkey PRIMARY KEY (database_id, schema_name, relation_name, column_name);

ALTER TABLE ONLY public.column_tag
    ADD CONSTRAINT column_tag_pkey PRIMARY KEY (database_id, schema_name, relation_name, column_name, tag);

ALTER TABLE ONLY public.database_owner
    ADD CONSTRAINT database_owner_pkey PRIMARY KEY (database_id, group_id);

ALTER TABLE ONLY public.database
    ADD CONSTRAINT database_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.delegation
    ADD CONSTRAINT delegation_pkey PRIMARY KEY (id);

ALTER TABLE public.entry
    ADD CONSTRAINT entry_journaled_whole CHECK (((journal_id IS NULL) = (sequence IS NULL))) NOT VALID;

ALTER TABLE ONLY public.entry
    ADD CONSTRAINT entry_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.first_admin_link
    ADD CONSTRAINT first_admin_link_pkey PRIMARY KEY (is_only);

ALTER TABLE ONLY public.gateway
    ADD CONSTRAINT gateway_pkey PRIMARY KEY (process_id);

ALTER TABLE ONLY public.grant_transition
    ADD CONSTRAINT grant_transition_pkey PRIMARY KEY (from_state, to_state);

ALTER TABLE ONLY public.idempotency_key
    ADD CONSTRAINT idempotency_key_pkey PRIMARY KEY (principal_id, key);

ALTER TABLE ONLY public.installation
    ADD CONSTRAINT installation_pkey PRIMARY KEY (is_only);

ALTER TABLE ONLY public.instance
    ADD CONSTRAINT instance_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.journal
    ADD CONSTRAINT journal_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.log_checkpoint
    ADD CONSTRAINT log_checkpoint_pkey PRIMARY KEY (size);

ALTER TABLE ONLY public.log_place
    ADD CONSTRAINT log_place_once UNIQUE (entry_id);

ALTER TABLE ONLY public.log_place
    ADD CONSTRAINT log_place_pkey PRIMARY KEY (index);

ALTER TABLE ONLY public.log_waiting
    ADD CONSTRAINT log_waiting_pkey PRIMARY KEY (entry_id);

ALTER TABLE ONLY public.login
    ADD CONSTRAINT login_cookie_unique UNIQUE (cookie_digest);

ALTER TABLE ONLY public.login_failure
    ADD CONSTRAINT login_failure_pkey PRIMARY KEY (subject);

ALTER TABLE ONLY public.login
    ADD CONSTRAINT login_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.membership
    ADD CONSTRAINT membership_pkey PRIMARY KEY (group_id, principal_id);

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.password_link
    ADD CONSTRAINT password_link_digest_unique UNIQUE (digest);

ALTER TABLE ONLY public.password_link
    ADD CONSTRAINT password_link_pkey PRIMARY KEY (principal_id);

ALTER TABLE ONLY public.password
    ADD CONSTRAINT password_pkey PRIMARY KEY (principal_id);

ALTER TABLE ONLY public.people_group
    ADD CONSTRAINT people_group_name_unique UNIQUE (name);

ALTER TABLE ONLY public.people_group
    ADD CONSTRAINT people_group_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.plan
    ADD CONSTRAINT plan_pkey PRIMARY KEY (database_id, scope_hash);

ALTER TABLE ONLY public.policy_head
    ADD CONSTRAINT policy_head_pkey PRIMARY KEY (is_only);

ALTER TABLE ONLY public.policy_version
    ADD CONSTRAINT policy_version_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.principal
    ADD CONSTRAINT principal_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.process
    ADD CONSTRAINT process_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.receipt
    ADD CONSTRAINT receipt_grant_unique UNIQUE (grant_id);

ALTER TABLE ONLY public.receipt
    ADD CONSTRAINT receipt_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.relation_tag
    ADD CONSTRAINT relation_tag_pkey PRIMARY KEY (database_id, schema_name, relation_name, tag);

ALTER TABLE ONLY public.request
    ADD CONSTRAINT request_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.request_step
    ADD CONSTRAINT request_step_pkey PRIMARY KEY (request_id, round, "position");

ALTER TABLE ONLY public.request_transition
    ADD CONSTRAINT request_transition_pkey PRIMARY KEY (from_state, to_state);

ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_account_unique UNIQUE (account);

ALTER TABLE ONLY public.session_activity
    ADD CONSTRAINT session_activity_pkey PRIMARY KEY (session_id);

ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.session_transition
    ADD CONSTRAINT session_transition_pkey PRIMARY KEY (from_state, to_state);

ALTER TABLE ONLY public.subject_key
    ADD CONSTRAINT subject_key_pkey PRIMARY KEY (subject);

ALTER TABLE ONLY public.tag_suggestion
    ADD CONSTRAINT tag_suggestion_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tag_suggestion
    ADD CONSTRAINT tag_suggestion_unique UNIQUE (database_id, schema_name, relation_name, column_name, tag);

CREATE INDEX access_grant_live ON public.access_grant USING btree (deadline) WHERE (state = ANY (ARRAY['scheduled'::text, 'active'::text]));

CREATE INDEX access_grant_principal ON public.access_grant USING btree (principal_id, database_id, id DESC);

CREATE INDEX access_grant_revoking ON public.access_grant USING btree (id) WHERE (state = 'revoking'::text);

CREATE INDEX access_grant_scope ON public.access_grant USING btree (database_id, scope_hash) WHERE (state = ANY (ARRAY['scheduled'::text, 'active'::text, 'revoking'::text]));

CREATE INDEX access_grant_starting ON public.access_grant USING btree (starts_at) WHERE (state = 'scheduled'::text);

CREATE INDEX access_token_principal ON public.access_token USING btree (principal_id);

CREATE UNIQUE INDEX database_name_unique ON public.database USING btree (instance_id, name) WHERE (state = 'active'::text);

CREATE INDEX delegation_to ON public.delegation USING btree (to_id);

CREATE INDEX entry_actor ON public.entry USING btree (actor_id, id);

CREATE INDEX entry_grant ON public.entry USING btree (grant_id);

CREATE UNIQUE INDEX entry_journaled_once ON public.entry USING btree (journal_id, sequence) WHERE (journal_id IS NOT NULL);

CREATE INDEX entry_kind ON public.entry USING btree (kind, id);

CREATE INDEX entry_request ON public.entry USING btree (request_id);

CREATE UNIQUE INDEX instance_name_unique ON public.instance USING btree (name) WHERE (state = 'active'::text);

CREATE INDEX journal_unclosed ON public.journal USING btree (host) WHERE (closed_at IS NULL);

CREATE INDEX login_failure_age ON public.login_failure USING btree (last_failure_at);

CREATE INDEX login_principal ON public.login USING btree (principal_id);

CREATE INDEX membership_principal ON public.membership USING btree (principal_id);

CREATE INDEX outbox_waiting ON public.outbox USING btree (next_at) WHERE (state = 'waiting'::text);

CREATE UNIQUE INDEX principal_email_unique ON public.principal USING btree (email);

CREATE INDEX request_database ON public.request USING btree (database_id, id DESC);

CREATE INDEX request_pending ON public.request USING btree (pending_until) WHERE (state = 'pending'::text);

CREATE INDEX request_requester ON public.request USING btree (requester_id, id DESC);

CREATE INDEX session_grant ON public.session USING btree (grant_id);

CREATE UNIQUE INDEX session_one_credential ON public.session USING btree (grant_id) WHERE ((kind = 'direct'::text) AND (state = ANY (ARRAY['opening'::text, 'open'::text])));

CREATE INDEX session_token ON public.session USING btree (token_id) WHERE (state <> 'closed'::text);

CREATE INDEX session_unclosed ON public.session USING btree (process_id) WHERE (state <> 'closed'::text);

CREATE TRIGGER access_grant_immutable BEFORE UPDATE ON public.access_grant FOR EACH ROW EXECUTE FUNCTION public.deny_column_change('id', 'request_id', 'principal_id', 'database_id', 'asked', 'direct_credentials', 'break_glass', 'created_at');

CREATE TRIGGER access_grant_kept BEFORE DELETE ON public.access_grant FOR EACH ROW EXECUTE FUNCTION public.deny_change();

CREATE TRIGGER access_grant_state_kept BEFORE UPDATE OF state ON public.access_grant FOR EACH ROW WHEN ((old.state IS DISTINCT FROM new.state)) EXECUTE FUNCTION public.remember_state();

CREATE TRIGGER access_token_immutable BEFORE UPDATE ON public.access_token FOR EACH ROW EXECUTE FUNCTION public.deny_column_change('id', 'principal_id', 'digest', 'scram_stored_key', 'scram_server_key', 'capabilities', 'created_by', 'issued_with', 'created_at', 'expires_at');

CREATE TRIGGER approval_kept BEFORE DELETE OR UPDATE ON public.approval FOR EACH ROW EXECUTE FUNCTION public.deny_change();

CREATE TRIGGER approval_not_by_requester BEFORE INSERT ON public.approval FOR EACH ROW EXECUTE FUNCTION public.approval_not_by_requester();

CREATE TRIGGER break_glass_review_kept BEFORE DELETE OR UPDATE ON public.break_glass_review FOR EACH ROW EXECUTE FUNCTION public.deny_change();

CREATE TRIGGER catalog_kept BEFORE UPDATE ON public.catalog FOR EACH ROW EXECUTE FUNCTION public.deny_change();

CREATE TRIGGER entry_kept BEFORE DELETE OR UPDATE ON public.entry FOR EACH ROW EXECUTE FUNCTION public.deny_change();

CREATE TRIGGER entry_not_truncated BEFORE TRUNCATE ON public.entry FOR EACH STATEMENT EXECUTE FUNCTION public.deny_change();

CREATE TRIGGER entry_waits AFTER INSERT ON public.entry REFERENCING NEW TABLE AS appended FOR EACH STATEMENT EXECUTE FUNCTION public.entry_waits();

CREATE TRIGGER journal_immutable BEFORE UPDATE ON public.journal FOR EACH ROW EXECUTE FUNCTION public.deny_column_change('id', 'process_id', 'host', 'opened_at');

CREATE TRIGGER journal_kept BEFORE DELETE ON public.journal FOR EACH ROW EXECUTE FUNCTION public.deny_change();

CREATE TRIGGER journal_only_grows BEFORE UPDATE ON public.journal FOR EACH ROW EXECUTE FUNCTION public.journal_only_grows();

CREATE TRIGGER log_checkpoint_kept BEFORE DELETE OR UPDATE ON public.log_checkpoint FOR EACH ROW EXECUTE FUNCTION public.deny_change();

CREATE TRIGGER log_checkpoint_not_truncated BEFORE TRUNCATE ON public.log_checkpoint FOR EACH STATEMENT EXECUTE FUNCTION public.deny_change();

CREATE TRIGGER log_place_kept BEFORE DELETE OR UPDATE ON public.log_place FOR EACH ROW EXECUTE FUNCTION public.deny_change();

CREATE TRIGGER log_place_not_truncated BEFORE TRUNCATE ON public.log_place FOR EACH STATEMENT EXECUTE FUNCTION public.deny_change();

CREATE TRIGGER policy_version_kept BEFORE DELETE OR UPDATE ON public.policy_version FOR EACH ROW EXECUTE FUNCTION public.deny_change();

CREATE TRIGGER principal_immutable BEFORE UPDATE ON public.principal FOR EACH ROW EXECUTE FUNCTION public.deny_column_change('id', 'kind', 'created_at', 'scram_salt', 'scram_iterations');

CREATE TRIGGER principal_kept BEFORE DELETE ON public.principal FOR EACH ROW EXECUTE FUNCTION public.deny_change();

CREATE TRIGGER receipt_kept BEFORE DELETE OR UPDATE ON public.receipt FOR EACH ROW EXECUTE FUNCTION public.deny_change();

CREATE TRIGGER request_immutable BEFORE UPDATE ON public.request FOR EACH ROW EXECUTE FUNCTION public.deny_column_change('id', 'requester_id', 'database_id', 'asked', 'profile', 'duration', 'starts_at', 'reason', 'ticket', 'direct_credentials', 'break_glass', 'extends_grant_id', 'created_at');

CREATE TRIGGER request_kept BEFORE DELETE ON public.request FOR EACH ROW EXECUTE FUNCTION public.deny_change();

CREATE TRIGGER request_state_kept BEFORE UPDATE OF state ON public.request FOR EACH ROW WHEN ((old.state IS DISTINCT FROM new.state)) EXECUTE FUNCTION public.remember_state();

CREATE TRIGGER review_not_by_principal BEFORE INSERT ON public.break_glass_review FOR EACH ROW EXECUTE FUNCTION public.review_not_by_principal();

CREATE TRIGGER session_immutable BEFORE UPDATE ON public.session FOR EACH ROW EXECUTE FUNCTION public.deny_column_change('id', 'grant_id', 'kind', 'account', 'opened_at', 'token_id');

CREATE TRIGGER session_kept BEFORE DELETE ON public.session FOR EACH ROW EXECUTE FUNCTION public.deny_change();

CREATE TRIGGER session_state_kept BEFORE UPDATE OF state ON public.session FOR EACH ROW WHEN ((old.state IS DISTINCT FROM new.state)) EXECUTE FUNCTION public.remember_state();

CREATE TRIGGER subject_key_immutable BEFORE UPDATE ON public.subject_key FOR EACH ROW EXECUTE FUNCTION public.deny_column_change('subject', 'made_at');

CREATE TRIGGER subject_key_kept BEFORE DELETE ON public.subject_key FOR EACH ROW EXECUTE FUNCTION public.deny_change();

ALTER TABLE ONLY public.accepted_exposure
    ADD CONSTRAINT accepted_exposure_accepted_by_fkey FOREIGN KEY (accepted_by) REFERENCES public.principal(id);

ALTER TABLE ONLY public.accepted_exposure
    ADD CONSTRAINT accepted_exposure_database_id_fkey FOREIGN KEY (database_id) REFERENCES public.database(id);

ALTER TABLE ONLY public.access_grant
    ADD CONSTRAINT access_grant_database_id_fkey FOREIGN KEY (database_id) REFERENCES public.database(id);

ALTER TABLE ONLY public.access_grant
    ADD CONSTRAINT access_grant_ended_by_fkey FOREIGN KEY (ended_by) REFERENCES public.principal(id);

ALTER TABLE ONLY public.access_grant
    ADD CONSTRAINT access_grant_policy_version_fkey FOREIGN KEY (policy_version) REFERENCES public.policy_version(version);

ALTER TABLE ONLY public.access_grant
    ADD CONSTRAINT access_grant_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES public.principal(id);

ALTER TABLE ONLY public.access_grant
    ADD CONSTRAINT access_grant_request_id_fkey FOREIGN KEY (request_id) REFERENCES public.request(id);

ALTER TABLE ONLY public.access_grant
    ADD CONSTRAINT access_grant_transition_legal FOREIGN KEY (previous_state, state) REFERENCES public.grant_transition(from_state, to_state);

ALTER TABLE ONLY public.access_token
    ADD CONSTRAINT access_token_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.principal(id);

ALTER TABLE ONLY public.access_token
    ADD CONSTRAINT access_token_issued_with_fkey FOREIGN KEY (issued_with) REFERENCES public.access_token(id);

ALTER TABLE ONLY public.access_token
    ADD CONSTRAINT access_token_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES public.principal(id);

ALTER TABLE ONLY public.approval
    ADD CONSTRAINT approval_approver_id_fkey FOREIGN KEY (approver_id) REFERENCES public.principal(id);

ALTER TABLE ONLY public.approval
    ADD CONSTRAINT approval_on_behalf_of_fkey FOREIGN KEY (on_behalf_of) REFERENCES public.principal(id);

ALTER TABLE ONLY public.approval
    ADD CONSTRAINT approval_request_id_fkey FOREIGN KEY (request_id) REFERENCES public.request(id);

ALTER TABLE ONLY public.approval
    ADD CONSTRAINT approval_step_exists FOREIGN KEY (request_id, round, "position") REFERENCES public.request_step(request_id, round, "position");

ALTER TABLE ONLY public.break_glass_review
    ADD CONSTRAINT break_glass_review_grant_id_fkey FOREIGN KEY (grant_id) REFERENCES public.access_grant(id);

ALTER TABLE ONLY public.break_glass_review
    ADD CONSTRAINT break_glass_review_reviewer_id_fkey FOREIGN KEY (reviewer_id) REFERENCES public.principal(id);

ALTER TABLE ONLY public.catalog
    ADD CONSTRAINT catalog_database_id_fkey FOREIGN KEY (database_id) REFERENCES public.database(id);

ALTER TABLE ONLY public.classified_column
    ADD CONSTRAINT classified_column_database_id_fkey FOREIGN KEY (database_id) REFERENCES public.database(id);

ALTER TABLE ONLY public.column_tag
    ADD CONSTRAINT column_tag_database_id_fkey FOREIGN KEY (database_id) REFERENCES public.database(id);

ALTER TABLE ONLY public.database
    ADD CONSTRAINT database_catalog_exists FOREIGN KEY (id, catalog_version) REFERENCES public.catalog(database_id, version) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.database
    ADD CONSTRAINT database_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instance(id);

ALTER TABLE ONLY public.database_owner
    ADD CONSTRAINT database_owner_database_id_fkey FOREIGN KEY (database_id) REFERENCES public.database(id);

ALTER TABLE ONLY public.database_owner
    ADD CONSTRAINT database_owner_group_id_fkey FOREIGN KEY (group_id) REFERENCES public.people_group(id);

ALTER TABLE ONLY public.delegation
    ADD CONSTRAINT delegation_from_id_fkey FOREIGN KEY (from_id) REFERENCES public.principal(id);

ALTER TABLE ONLY public.delegation
    ADD CONSTRAINT delegation_to_id_fkey FOREIGN KEY (to_id) REFERENCES public.principal(id);

ALTER TABLE ONLY public.entry
    ADD CONSTRAINT entry_actor_id_fkey FOREIGN KEY (actor_id) REFERENCES public.principal(id);

ALTER TABLE ONLY public.entry
    ADD CONSTRAINT entry_database_id_fkey FOREIGN KEY (database_id) REFERENCES public.database(id);

ALTER TABLE ONLY public.entry
    ADD CONSTRAINT entry_grant_id_fkey FOREIGN KEY (grant_id) REFERENCES public.access_grant(id);

ALTER TABLE ONLY public.entry
    ADD CONSTRAINT entry_on_behalf_of_fkey FOREIGN KEY (on_behalf_of) REFERENCES public.principal(id);

ALTER TABLE ONLY public.entry
    ADD CONSTRAINT entry_request_id_fkey FOREIGN KEY (request_id) REFERENCES public.request(id);

ALTER TABLE ONLY public.entry
    ADD CONSTRAINT entry_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.session(id);

ALTER TABLE ONLY public.idempotency_key
    ADD CONSTRAINT idempotency_key_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES public.principal(id);

ALTER TABLE ONLY public.login
    ADD CONSTRAINT login_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES public.principal(id);

ALTER TABLE ONLY public.membership
    ADD CONSTRAINT membership_group_id_fkey FOREIGN KEY (group_id) REFERENCES public.people_group(id);

ALTER TABLE ONLY public.membership
    ADD CONSTRAINT membership_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES public.principal(id);

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_recipient_id_fkey FOREIGN KEY (recipient_id) REFERENCES public.principal(id);

ALTER TABLE ONLY public.password_link
    ADD CONSTRAINT password_link_issued_by_fkey FOREIGN KEY (issued_by) REFERENCES public.principal(id);

ALTER TABLE ONLY public.password_link
    ADD CONSTRAINT password_link_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES public.principal(id);

ALTER TABLE ONLY public.password
    ADD CONSTRAINT password_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES public.principal(id);

ALTER TABLE ONLY public.plan
    ADD CONSTRAINT plan_database_id_fkey FOREIGN KEY (database_id) REFERENCES public.database(id);

ALTER TABLE ONLY public.policy_head
    ADD CONSTRAINT policy_head_version_fkey FOREIGN KEY (version) REFERENCES public.policy_version(version);

ALTER TABLE ONLY public.policy_version
    ADD CONSTRAINT policy_version_applied_by_fkey FOREIGN KEY (applied_by) REFERENCES public.principal(id);

ALTER TABLE ONLY public.policy_version
    ADD CONSTRAINT policy_version_rollback_of_fkey FOREIGN KEY (rollback_of) REFERENCES public.policy_version(version);

ALTER TABLE ONLY public.principal
    ADD CONSTRAINT principal_manager_id_fkey FOREIGN KEY (manager_id) REFERENCES public.principal(id);

ALTER TABLE ONLY public.principal
    ADD CONSTRAINT principal_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.principal(id);

ALTER TABLE ONLY public.receipt
    ADD CONSTRAINT receipt_grant_id_fkey FOREIGN KEY (grant_id) REFERENCES public.access_grant(id);

ALTER TABLE ONLY public.relation_tag
    ADD CONSTRAINT relation_tag_database_id_fkey FOREIGN KEY (database_id) REFERENCES public.database(id);

ALTER TABLE ONLY public.request
    ADD CONSTRAINT request_database_id_fkey FOREIGN KEY (database_id) REFERENCES public.database(id);

ALTER TABLE ONLY public.request
    ADD CONSTRAINT request_decided_by_fkey FOREIGN KEY (decided_by) REFERENCES public.principal(id);

ALTER TABLE ONLY public.request
    ADD CONSTRAINT request_extends_a_grant FOREIGN KEY (extends_grant_id) REFERENCES public.access_grant(id);

ALTER TABLE ONLY public.request
    ADD CONSTRAINT request_policy_version_fkey FOREIGN KEY (policy_version) REFERENCES public.policy_version(version);

ALTER TABLE ONLY public.request
    ADD CONSTRAINT request_requester_id_fkey FOREIGN KEY (requester_id) REFERENCES public.principal(id);

ALTER TABLE ONLY public.request_step
    ADD CONSTRAINT request_step_request_id_fkey FOREIGN KEY (request_id) REFERENCES public.request(id);

ALTER TABLE ONLY public.request
    ADD CONSTRAINT request_transition_legal FOREIGN KEY (previous_state, state) REFERENCES public.request_transition(from_state, to_state);

ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_grant_id_fkey FOREIGN KEY (grant_id) REFERENCES public.access_grant(id);

ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_token_id_fkey FOREIGN KEY (token_id) REFERENCES public.access_token(id);

ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_transition_legal FOREIGN KEY (previous_state, state) REFERENCES public.session_transition(from_state, to_state);

ALTER TABLE ONLY public.tag_suggestion
    ADD CONSTRAINT tag_suggestion_database_id_fkey FOREIGN KEY (database_id) REFERENCES public.database(id);

ALTER TABLE ONLY public.tag_suggestion
    ADD CONSTRAINT tag_suggestion_decided_by_fkey FOREIGN KEY (decided_by) REFERENCES public.principal(id);
