alter table session add column token_id bigint references access_token (id);
create index session_token on session (token_id) where state <> 'closed';
drop trigger session_immutable on session;
create trigger session_immutable before update on session for each row
  execute function deny_column_change(
    'id', 'grant_id', 'kind', 'account', 'opened_at', 'token_id'
  );
comment on column session.token_id is
  'The access token it was opened with, if any: a session of a gateway ends when that is revoked';
