-- Unlogged: written every second while something runs, and worth nothing after a crash.
create unlogged table session_activity (
  session_id bigint primary key,
  statement text not null,
  since timestamptz not null,
  noted_at timestamptz not null default clock_timestamp()
);
comment on table session_activity is
  'Statements that run in sessions of a gateway, as of its latest look; gone with the session';

create table gateway (
  process_id uuid primary key,
  engine text not null,
  host text not null,
  port integer not null,
  tls text not null,
  certificate text not null,
  started_at timestamptz not null default clock_timestamp(),
  constraint gateway_port_possible check (port between 1 and 65535),
  constraint gateway_tls_known check (tls in ('required', 'offered', 'none'))
);
comment on table gateway is
  'Where gateways are and the certificate they show, while their process is alive';
