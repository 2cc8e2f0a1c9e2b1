-- insert --
-- What intake refused.
INSERT INTO refusal (at, listener, client_ip, stage, code, enhanced, text, reason, app, helo, auth_user, mail_from, rcpt_to)
VALUES (
  :at, :listener, :client_ip, :stage, :code, :enhanced, :text, :reason, :app, :helo, :auth_user, :mail_from, :rcpt_to
)
