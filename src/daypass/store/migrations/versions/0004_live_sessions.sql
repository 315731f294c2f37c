-- Unlogged: written every second while something runs, and worth nothing after a crash.
create unlogged table session_activity (
  session_id bigint primary key,
  statement text not null,
  since timestamptz not null,
  noted_at timestamptz not null default clock_timestamp()
);
comment on table session_activity is
  'Statements that run in sessions of a gateway, as of its latest look; gone with the session';
